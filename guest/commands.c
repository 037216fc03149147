#include "commands.h"

#include <stddef.h>

#include "print.h"
#include "text.h"

static const char *command_help(unsigned count, char **words);

static const struct command commands[] = {
    {"help", "", "this list", command_help},
    {"info", "", "memory, CPUs, devices", command_info},
    {"exits", "io|mmio N [ring3]", "cost of N VM exits: port writes and reads, or device register reads",
     command_exits},
    {"blk", "read|write SIZE DEPTH TIME|COUNT [seq] [irq] [indirect] [disk=N|scsi=N]", "disk requests at random places",
     command_blk},
    {"blk", "verify N [disk=N|scsi=N] | flush [disk=N|scsi=N]", "write N 4k blocks, read back, compare", command_blk},
    {"blk", "soak [ROUNDS] [disk=N|scsi=N]", "blk verify again and again, until Ctrl-C; checks that time does not go back",
     command_blk},
    {"ide", "read SIZE TIME", "read a drive of an IDE controller from its start to its end, by DMA", command_ide},
    {"net", "info | ping N | send|receive|echo TIME|N [SIZE] [csum] [indirect] [repeat] [card=N]",
     "frames through virtio-net", command_net},
    {"nic", "send|receive TIME [SIZE] [batch=N]", "frames through an e1000, an e1000e or an RTL8139", command_nic},
    {"gateway", "TIME [SIZE]", "echo requests to the gateway of a user-mode network", command_gateway},
    {"memory", "SIZE [ROUNDS]", "write memory again and again, and check what was written before", command_memory},
    {"balloon", "SIZE [scattered]", "touch memory, and give it to the host through virtio-balloon", command_balloon},
    {"rng", "N", "random bytes from virtio-rng", command_rng},
    {"spin", "TIME", "compute in ring 3", command_spin},
    {"smp", "[TIME [exits]]", "start the other vCPUs; all compute, or write to a port", command_smp},
    {"cpus", "show | enable | answer TIME | refuse TIME | run TIME | eject N | rubbish SEED",
     "vCPUs that come and go by ACPI: which are present, enable their event, take up and release them, use them",
     command_cpus},
    {"demo", "[TIME]", "a light load of everything, repeated until a key", command_demo},
    {"flood", "", "print to the serial port until Ctrl-C", command_flood},
    {"rubbish", "ring | regs|ports [SEED [COUNT]]", "a hostile guest: broken rings, random register accesses",
     command_rubbish},
    {"serial", "PORT WORD", "print to another serial port, read a line from it", command_serial},
    {"echo", "PORT N", "return N bytes that another serial port receives", command_echo},
    {"halt", "", "ACPI power off", command_halt},
    {"suspend", "[SECONDS]", "ACPI S3, until something wakes the machine up, or its clock does", command_suspend},
    {"reboot", "", "reset by port 0xcf9", command_reboot},
    {"exit", "N", "debug exit port 0xf4", command_exit},
    {"crash", "", "triple fault", command_crash},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const char *command_help(unsigned count, char **words)
{
    (void)count, (void)words;
    for (unsigned i = 0; i < COMMANDS; i++)
        print("  %s %s: %s\n", commands[i].name, commands[i].usage, commands[i].help);
    print("SIZE is bytes, 4k or 1m; TIME is 5s or 200ms. Ctrl-C stops a command; ';' separates commands.\n");
    return NULL;
}

static void run_one(char *text)
{
    char *words[MAX_WORDS];
    unsigned count = text_split(text, words, MAX_WORDS);
    if (count == 0)
        return;
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (!text_equal(commands[i].name, words[0]))
            continue;
        const char *error = commands[i].run(count, words);
        if (error)
            print("error %s: %s\n", words[0], error);
        return;
    }
    print("error %s: no such command, \"help\" lists them\n", words[0]);
}

void commands_run(char *line)
{
    while (*line) {
        char *end = line;
        while (*end && *end != ';')
            end++;
        char *next = *end ? end + 1 : end;
        *end = 0;
        run_one(line);
        line = next;
    }
}
