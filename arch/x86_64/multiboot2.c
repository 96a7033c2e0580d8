// SPDX-License-Identifier: MIT
/* The information that GRUB leaves: a list of tags. */
#include "x86.h"

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_LOADER = 2,
	TAG_MODULE = 3,
	TAG_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_EFI32 = 11,
	TAG_EFI64 = 12,
	TAG_RSDP1 = 14,
	TAG_RSDP2 = 15,
};

struct tag {
	uint32_t type, size;
};

struct tag_module {
	struct tag tag;
	uint32_t start, end;
	char cmdline[];
};

struct tag_map {
	struct tag tag;
	uint32_t entry_size, version;
};

struct map_entry {
	uint64_t start, len;
	uint32_t type, zero;
};

struct tag_framebuffer {
	struct tag tag;
	uint64_t phys;
	uint32_t pitch, width, height;
	uint8_t bpp, type;
};

/* The copy of the ACPI pointer is in the tag itself, which will not stay. */
static unsigned char rsdp_copy[40];

static void read_map(const struct tag_map *map)
{
	const char *end = (const char *)map + map->tag.size;

	if (map->entry_size < sizeof(struct map_entry))
		return;
	for (const char *p = (const char *)(map + 1); p + sizeof(struct map_entry) <= end;
	     p += map->entry_size) {
		const struct map_entry *e = (const struct map_entry *)p;

		bootinfo_add_e820(e->start, e->len, e->type);
	}
}

static void hide_ega_cursor(void)
{
	outb(0x3d4, 0x0a);
	outb(0x3d5, 0x20);
}

static void read_framebuffer(const struct tag_framebuffer *fb)
{
	if (fb->type != 1 && fb->type != 2)
		return;
	boot_info.fb = (struct arch_framebuffer){
		.phys = fb->phys,
		.width = fb->width,
		.height = fb->height,
		.pitch = fb->pitch,
		.bpp = fb->bpp,
		.text = fb->type == 2,
	};
	if (boot_info.fb.text)
		hide_ega_cursor();
}

static void read_rsdp(const struct tag *tag)
{
	size_t len = tag->size - sizeof(*tag);

	memcpy(rsdp_copy, tag + 1, len < sizeof(rsdp_copy) ? len : sizeof(rsdp_copy));
	boot_info.rsdp = arch_phys(rsdp_copy);
}

static void read_tag(const struct tag *tag)
{
	const struct tag_module *module = (const void *)tag;

	switch (tag->type) {
	case TAG_CMDLINE:
		boot_info.cmdline = bootinfo_keep((const char *)(tag + 1));
		break;
	case TAG_LOADER:
		boot_info.loader = bootinfo_keep((const char *)(tag + 1));
		break;
	case TAG_MODULE:
		bootinfo_add_module(module->start, module->end - module->start, module->cmdline);
		break;
	case TAG_MAP:
		read_map((const void *)tag);
		break;
	case TAG_FRAMEBUFFER:
		read_framebuffer((const void *)tag);
		break;
	case TAG_EFI32:
	case TAG_EFI64:
		boot_info.uefi = true;
		break;
	case TAG_RSDP1:
		if (!boot_info.rsdp)
			read_rsdp(tag);
		break;
	case TAG_RSDP2:
		read_rsdp(tag);
		break;
	}
}

void multiboot2_read(uint64_t info)
{
	const char *p = arch_virt(info);
	const char *end = p + *(const uint32_t *)p;

	for (p += 8; p + sizeof(struct tag) <= end;) {
		const struct tag *tag = (const struct tag *)p;

		if (tag->type == TAG_END || tag->size < sizeof(*tag))
			break;
		read_tag(tag);
		p += (tag->size + 7) & ~7ul;
	}
}
