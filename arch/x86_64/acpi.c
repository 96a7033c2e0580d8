// SPDX-License-Identifier: MIT
/*
 * The tables of ACPI, as far as they are needed to find the CPUs and the interrupt controllers: root
 * pointer → RSDT or XSDT → MADT. Checksums are checked; anything odd means "one CPU", with a line
 * that says so.
 */
#include "x86.h"

struct rsdp {
	char signature[8];
	uint8_t checksum, oem[6], revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
} __attribute__((packed));

struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct madt {
	struct sdt sdt;
	uint32_t lapic, flags;
} __attribute__((packed));

#define TABLE_MAX (1ul << 20)
#define MADT_ENABLED 1u

uint64_t acpi_lapic_phys = 0xfee00000, acpi_ioapic_phys;
uint32_t acpi_ioapic_base;

static struct acpi_irq isa_irqs[16];

struct acpi_irq acpi_isa_irq(unsigned int irq)
{
	return isa_irqs[irq];
}

static bool sum_is_zero(const void *table, size_t len)
{
	const uint8_t *p = table;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return !sum;
}

/* Map the table, which has to begin with @signature (NULL: any). */
static const struct sdt *table_at(uint64_t phys, const char *signature)
{
	const struct sdt *table = arch_map_phys(phys, sizeof(*table), false);

	if (!phys || !table || (signature && memcmp(table->signature, signature, 4)))
		return NULL;
	if (table->length < sizeof(*table) || table->length > TABLE_MAX ||
	    !arch_map_phys(phys, table->length, false))
		return NULL;
	return sum_is_zero(table, table->length) ? table : NULL;
}

/* The table of that name that @root, with entries of @width bytes, points at. */
static const struct sdt *find_in(const struct sdt *root, size_t width, const char *signature)
{
	const char *end = (const char *)root + root->length;

	for (const char *p = (const char *)(root + 1); p + width <= end; p += width) {
		const struct sdt *table;
		uint64_t phys = 0;

		memcpy(&phys, p, width);
		table = table_at(phys, signature);
		if (table)
			return table;
	}
	return NULL;
}

static const struct sdt *find_table(const char *signature)
{
	const struct rsdp *rsdp;
	const struct sdt *root = NULL;

	if (!boot_info.rsdp)
		return NULL;
	rsdp = arch_map_phys(boot_info.rsdp, sizeof(*rsdp), false);
	if (!rsdp || memcmp(rsdp->signature, "RSD PTR ", 8) || !sum_is_zero(rsdp, 20))
		return NULL;
	if (rsdp->revision >= 2)
		root = table_at(rsdp->xsdt, "XSDT");
	if (root)
		return find_in(root, 8, signature);
	root = table_at(rsdp->rsdt, "RSDT");
	return root ? find_in(root, 4, signature) : NULL;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void add_cpu(uint32_t id, uint32_t flags)
{
	if (flags & MADT_ENABLED)
		smp_add(id);
}

/* Polarity and trigger; 0 in either field is the bus's own: for ISA active high, edge. */
static void add_override(const uint8_t *p)
{
	unsigned int flags = p[8];

	if (p[2] || p[3] > 15)
		return;
	isa_irqs[p[3]] = (struct acpi_irq){ .gsi = get32(p + 4),
					    .low = (flags & 3) == 3,
					    .level = (flags >> 2 & 3) == 3 };
}

static void read_entry(const uint8_t *p)
{
	switch (p[0]) {
	case 0: /* local APIC */
		if (p[1] >= 8)
			add_cpu(p[3], get32(p + 4));
		break;
	case 1: /* I/O APIC: the first one has the old interrupts */
		if (p[1] >= 12 && !acpi_ioapic_phys) {
			acpi_ioapic_phys = get32(p + 4);
			acpi_ioapic_base = get32(p + 8);
		}
		break;
	case 2: /* where an old interrupt goes */
		if (p[1] >= 10)
			add_override(p);
		break;
	case 5: /* 64-bit address of the local APICs */
		if (p[1] >= 12)
			memcpy(&acpi_lapic_phys, p + 4, 8);
		break;
	case 9: /* local x2APIC */
		if (p[1] >= 16)
			add_cpu(get32(p + 4), get32(p + 8));
		break;
	}
}

void acpi_read(void)
{
	const struct madt *madt = (const struct madt *)find_table("APIC");
	const uint8_t *end;

	for (unsigned int i = 0; i < 16; i++)
		isa_irqs[i].gsi = i;
	if (!madt) {
		arch_print("acpi: no usable MADT, going on with one CPU\n");
		return;
	}
	acpi_lapic_phys = madt->lapic;
	end = (const uint8_t *)madt + madt->sdt.length;
	for (const uint8_t *p = (const uint8_t *)(madt + 1); p + 2 <= end && p[1] >= 2; p += p[1])
		if (p + p[1] <= end)
			read_entry(p);
}
