/* The few things read from the ACPI tables (ACPI 6.5 §5.2). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Local APIC IDs of the usable CPUs, from the MADT; how many there are (at most `max` are stored). 0 without a MADT. */
unsigned acpi_cpus(uint32_t *apic_ids, unsigned max);

/* Address of the PCI Express configuration space (ECAM) of segment 0, from the MCFG; 0 without one. */
uint64_t acpi_ecam(void);

/* Makes the power button raise IRQ_SCI. */
void acpi_enable_power_button(void);

/* After IRQ_SCI: whether the power button was pressed. Clears that, and unmasks IRQ_SCI. */
bool acpi_power_button_pressed(void);

/* Enters S3, suspend to RAM, to go on in real mode at `vector`. With `alarm` the real-time clock may wake the machine up. Returns, and
 * the machine stops at any time after that, or does not. */
void acpi_suspend(uint32_t vector, bool alarm);

/* After S3: the PM1 status, which it clears. */
unsigned acpi_wake_status(void);

/* Enters S5, soft off. Returns only on failure. */
void acpi_power_off(void);
