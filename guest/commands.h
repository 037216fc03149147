/* The commands for users, tests and benchmarks. Each measuring command ends with one line
 * "result <name> key=value ...", or with "error <command>: <reason>". */
#pragma once

enum { MAX_WORDS = 12 };

struct command {
    const char *name;
    const char *usage;
    const char *help;
    /* words[0] is the name. Returns NULL or an error. */
    const char *(*run)(unsigned count, char **words);
};

/* Runs commands separated by ';'. Modifies the text. */
void commands_run(char *line);

/* Prints loader, memory, CPUs and devices. */
void print_machine(void);

/* For the demo: a few VM exits of each kind. */
void exits_mixture(unsigned n);

/* The commands, by file. */
const char *command_exits(unsigned count, char **words);
const char *command_spin(unsigned count, char **words);
const char *command_smp(unsigned count, char **words);
const char *command_cpus(unsigned count, char **words);
const char *command_demo(unsigned count, char **words);
const char *command_flood(unsigned count, char **words);
const char *command_rubbish(unsigned count, char **words);
const char *command_blk(unsigned count, char **words);
const char *command_ide(unsigned count, char **words);
const char *command_net(unsigned count, char **words);
const char *command_nic(unsigned count, char **words);
const char *command_gateway(unsigned count, char **words);
const char *command_memory(unsigned count, char **words);
const char *command_balloon(unsigned count, char **words);
const char *command_rng(unsigned count, char **words);
const char *command_serial(unsigned count, char **words);
const char *command_echo(unsigned count, char **words);
const char *command_info(unsigned count, char **words);
const char *command_halt(unsigned count, char **words);
const char *command_reboot(unsigned count, char **words);
const char *command_exit(unsigned count, char **words);
const char *command_suspend(unsigned count, char **words);
const char *command_crash(unsigned count, char **words);
