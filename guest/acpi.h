/* The few things read from the ACPI tables (ACPI 6.5 §5.2). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Local APIC IDs of the usable CPUs, from the MADT; stores at most `max`. Returns their number, 0 without a MADT. */
unsigned acpi_cpus(uint32_t *apic_ids, unsigned max);

/* Address of the PCI Express configuration space (ECAM) of segment 0, from the MCFG; 0 without one. */
uint64_t acpi_ecam(void);

/* Makes the power button raise IRQ_SCI. */
void acpi_enable_power_button(void);

/* After IRQ_SCI: whether the power button was pressed. Clears the status, and unmasks IRQ_SCI. */
bool acpi_power_button_pressed(void);

/* Enables a general-purpose event. */
void acpi_enable_event(unsigned event);

/* Enters S3, suspend to RAM, to resume in real mode at `vector`. With `alarm` the real-time clock may wake the machine.
 * Returns; the machine may stop at any time after that, or not at all. */
void acpi_suspend(uint32_t vector, bool alarm);

/* After S3: returns and clears the PM1 status. */
unsigned acpi_wake_status(void);

/* Enters S5, soft off. Returns only on failure. */
void acpi_power_off(void);
