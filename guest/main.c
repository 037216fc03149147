/* The guest, from the top: start up, print a greeting, run commands. */

#include <stdint.h>

#include "boot.h"
#include "commands.h"
#include "console.h"
#include "interrupts.h"
#include "pci.h"
#include "print.h"
#include "serial.h"
#include "virtio.h"

#define VERSION "0.1.0"

enum { LINE_SIZE = 512 };

void main(uint32_t protocol, uint64_t info) __attribute__((noreturn)); /* called by start.S, in ring 3 */

void main(uint32_t protocol, uint64_t info)
{
    static char line[LINE_SIZE];
    boot_parse(protocol, info);
    interrupts_init();
    serial_init();
    bool quiet = boot_has_word("quiet");
    if (!quiet)
        print("vring guest " VERSION "\n");
    pci_scan();
    virtio_find();
    if (!quiet)
        print_machine();
    if (boot_option("run", line, sizeof line))
        commands_run(line);
    for (;;) {
        print("> ");
        console_read_line(line, sizeof line);
        commands_run(line);
    }
}
