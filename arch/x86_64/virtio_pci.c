// SPDX-License-Identifier: MIT
/* Virtio devices on bus 0 of PCI, which is all that an emulator without bridges has; registers are ports. */
#include "x86.h"
#include "virtio.h"

#define VENDOR 0x1af4u
#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define PCI_COMMAND 4
#define PCI_BAR0 16
#define PCI_PORTS_AND_MASTER 5

static void pci_point(unsigned int function, unsigned int offset)
{
	outl(PCI_ADDRESS, 0x80000000u | function << 8 | offset);
}

static uint32_t pci_read(unsigned int function, unsigned int offset)
{
	pci_point(function, offset);
	return inl(PCI_DATA);
}

static virtio_t enable(unsigned int function)
{
	uint32_t bar = pci_read(function, PCI_BAR0);
	uint16_t port = (uint16_t)(bar & 0xfffc);

	if (!(bar & 1) || !port)
		return 0;
	pci_point(function, PCI_COMMAND);
	outw(PCI_DATA, PCI_PORTS_AND_MASTER);
	return port;
}

virtio_t virtio_find(enum virtio_kind kind)
{
	static const uint16_t numbers[] = { [VIRTIO_CONSOLE] = 0x1003, [VIRTIO_BALLOON] = 0x1002 };

	for (unsigned int function = 0; function < 256; function++)
		if (pci_read(function, 0) == (VENDOR | (uint32_t)numbers[kind] << 16))
			return enable(function);
	return 0;
}

static const struct {
	uint8_t at, bytes;
} registers[] = {
	[VIRTIO_HOST_FEATURES] = { 0, 4 }, [VIRTIO_GUEST_FEATURES] = { 4, 4 },
	[VIRTIO_QUEUE_PAGE] = { 8, 4 },	   [VIRTIO_QUEUE_MAX] = { 12, 2 },
	[VIRTIO_QUEUE_SELECT] = { 14, 2 }, [VIRTIO_NOTIFY] = { 16, 2 },
	[VIRTIO_STATUS] = { 18, 1 },
};

uint32_t virtio_read(virtio_t device, enum virtio_register reg)
{
	uint16_t port = (uint16_t)(device + registers[reg].at);

	return registers[reg].bytes == 4   ? inl(port)
	       : registers[reg].bytes == 2 ? inw(port)
					   : inb(port);
}

void virtio_write(virtio_t device, enum virtio_register reg, uint32_t value)
{
	uint16_t port = (uint16_t)(device + registers[reg].at);

	if (registers[reg].bytes == 4)
		outl(port, value);
	else if (registers[reg].bytes == 2)
		outw(port, (uint16_t)value);
	else
		outb(port, (uint8_t)value);
}
