// SPDX-License-Identifier: MIT
/*
 * What memory an instruction of 64-bit x86 touches: enough of a decoder for what compilers make of C. Of what it does
 * not know (vectors with a prefix of their own, strings in two places) it says that it touches something shared, which costs a moment.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include "pairs.h"

#define UNKNOWN ((uintptr_t)-1)

struct insn {
	const uint8_t *code; /* behind what was read */
	uint8_t rex;
	bool thread; /* %fs: or %gs: */
};

static void read_prefixes(struct insn *insn)
{
	for (;; insn->code++) {
		switch (*insn->code) {
		case 0x64:
		case 0x65:
			insn->thread = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x66:
		case 0x67:
		case 0xf0:
		case 0xf2:
		case 0xf3:
			break;
		default:
			if ((*insn->code & 0xf0) == 0x40)
				insn->rex = *insn->code++;
			return;
		}
	}
}

static int32_t read_32(const uint8_t *at)
{
	int32_t value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

/* The address that the byte behind the operation code speaks of; those relative to code may be off by what follows. */
static bool operand(const struct insn *insn, const uintptr_t *registers, uintptr_t *at)
{
	const uint8_t *code = insn->code;
	unsigned int mod = *code >> 6, rm = *code & 7, base;
	uintptr_t sum = 0;

	code++;
	if (mod == 3)
		return false;
	if (rm == 4) {
		unsigned int index = (*code >> 3 & 7) | (insn->rex & 2 ? 8 : 0);

		base = *code & 7;
		if (index != 4)
			sum = registers[index] << (*code >> 6);
		code++;
	} else {
		base = rm;
	}
	if (mod == 0 && rm == 5)
		sum = (uintptr_t)code + 4 + (uintptr_t)read_32(code);
	else if (mod == 0 && base == 5)
		sum += (uintptr_t)read_32(code);
	else
		sum += registers[base | (insn->rex & 1 ? 8 : 0)];
	if (mod == 1)
		sum += (uintptr_t)(int8_t)*code;
	else if (mod == 2)
		sum += (uintptr_t)read_32(code);
	*at = sum;
	return true;
}

static bool without_operand(uint8_t op)
{
	if (op < 0x40)
		return (op & 7) > 3;
	return (op >= 0x50 && op <= 0x61) || op == 0x68 || op == 0x6a ||
	       (op >= 0x70 && op < 0x80) || (op >= 0x90 && op < 0xc0 && op != 0xc0) || op == 0xc2 ||
	       op == 0xc3 || (op >= 0xc8 && op < 0xd0) || (op >= 0xe0 && op < 0xf0) || op == 0xf1 ||
	       op == 0xf4 || op == 0xf5 || (op >= 0xf8 && op <= 0xfd);
}

static bool without_operand_0f(uint8_t op)
{
	return op == 0x05 || op == 0x0b || op == 0x0d || op == 0x18 || op == 0x1e || op == 0x1f ||
	       op == 0x31 || (op >= 0x80 && op < 0x90) || op == 0xa0 || op == 0xa1 || op == 0xa2 ||
	       op == 0xa8 || op == 0xa9 || (op >= 0xc8 && op < 0xd0);
}

/* stos, lods, scas: of one place. */
static bool is_string(uint8_t op)
{
	return op >= 0xaa && op <= 0xaf;
}

bool decode_touches(const uint8_t *code, const uintptr_t *registers, uintptr_t *at)
{
	struct insn insn = { .code = code };
	uint8_t op;

	read_prefixes(&insn);
	op = *insn.code++;
	if (op == 0x62 || op == 0xc4 || op == 0xc5 || (op >= 0xa4 && op <= 0xa7)) {
		*at = UNKNOWN;
		return true;
	}
	if (is_string(op)) {
		bool source = op == 0xac || op == 0xad;

		*at = registers[source ? 6 : 7];
		return true;
	}
	if (op == 0x0f) {
		op = *insn.code++;
		if (without_operand_0f(op))
			return false;
		if (op == 0x38 || op == 0x3a)
			insn.code++;
	} else if (without_operand(op) || op == 0x8d) {
		return false;
	}
	return !insn.thread && operand(&insn, registers, at);
}
