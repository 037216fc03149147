/* The few things read from the ACPI tables (ACPI 6.5 §5.2). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Local APIC IDs of the usable CPUs, from the MADT; how many there are (at most `max` are stored). 0 without a MADT. */
unsigned acpi_cpus(uint32_t *apic_ids, unsigned max);

/* Address of the PCI Express configuration space (ECAM) of segment 0, from the MCFG; 0 without one. */
uint64_t acpi_ecam(void);

/* The power button raises IRQ_SCI from now on. */
void acpi_enable_power_button(void);

/* After IRQ_SCI: has the power button been pressed? Forgets it, and lets IRQ_SCI come again. */
bool acpi_power_button_pressed(void);

/* Enters S5, soft off. Returns only if that did not work. */
void acpi_power_off(void);
