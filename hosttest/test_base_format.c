// SPDX-License-Identifier: MIT
/* mw_format(), mw_print(): a table of answers, truncation at every length, and odd formats. */
#include "test.h"
#include "../mm/base/report.h"

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* Whole, then cut at every size: always the beginning, terminated, and not a byte behind. */
static void check_all_sizes(const char *whole, const char *want, const char *format, va_list args)
{
	size_t len = length(want);
	char buf[128];

	(void)test_check(same(whole, want), __FILE__, __LINE__, "%s: \"%s\", not \"%s\"", format,
			 whole, want);
	for (size_t size = 0; size <= len + 1; size++) {
		va_list copy;
		size_t used, good = 0;

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = '#';
		va_copy(copy, args);
		used = mw_vformat(buf, size, format, copy);
		va_end(copy);
		CHECK_EQ(used, size ? size - 1 : 0);
		while (good < used && buf[good] == want[good])
			good++;
		CHECK_EQ(good, used);
		CHECK(!size || buf[used] == '\0');
		CHECK_EQ(buf[size], '#');
	}
}

static void __attribute__((format(printf, 2, 3))) expect(const char *want, const char *format, ...)
{
	char whole[128];
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	mw_vformat(whole, sizeof(whole), format, again);
	va_end(again);
	check_all_sizes(whole, want, format, args);
	va_end(args);
}

TEST(numbers)
{
	expect("0", "%d", 0);
	expect("-1", "%d", -1);
	expect("2147483647", "%d", 2147483647);
	expect("-2147483648", "%d", -2147483647 - 1);
	expect("4294967295", "%u", 4294967295u);
	expect("deadbeef", "%x", 0xdeadbeefu);
	expect("18446744073709551615", "%llu", ~0ull);
	expect("-9223372036854775808", "%lld", -9223372036854775807ll - 1);
	expect("10000000000000000000", "%llu", 10000000000000000000ull);
	expect("9999999999", "%llu", 9999999999ull);
	expect("ffffffffffffffff", "%llx", ~0ull);
	expect("42", "%lu", 42ul);
	expect("-42", "%ld", -42l);
	expect("77", "%zu", (size_t)77);
	expect("2a", "%lx", 42ul);
}

TEST(padding)
{
	expect("    7|", "%5d|", 7);
	expect("7    |", "%-5d|", 7);
	expect("00007|", "%05d|", 7);
	expect("-0007|", "%05d|", -7);
	expect("   -7|", "%5d|", -7);
	expect("123456|", "%3d|", 123456);
	expect("  abc|", "%5s|", "abc");
	expect("abc  |", "%-5s|", "abc");
	expect(" abc|abc |", "%4s|%-4s|", "abc", "abc"); /* by one */
	expect("    x|", "%5c|", 'x');
	expect("0000beef", "%08x", 0xbeefu);
	expect("         1", "%10llu", 1ull);
}

TEST(strings_and_pointers)
{
	expect("", "%s", "");
	expect("a%b", "a%%b");
	expect("one two", "%s %s", "one", "two");
	expect("0x0", "%p", (void *)0);
	expect("0x1234", "%p", (void *)0x1234);
	expect("    0x12", "%8p", (void *)0x12);
	expect("0x12    |", "%-8p|", (void *)0x12);
	expect("c", "%c", 'c');
}

/* What the compiler would refuse in a literal. */
TEST(odd_formats)
{
	const char *volatile null = NULL, *volatile odd = "%q 100% %";
	char buf[32];

	mw_format(buf, sizeof(buf), "%s", null);
	CHECK(same(buf, "(null)"));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	mw_format(buf, sizeof(buf), odd);
#pragma GCC diagnostic pop
	(void)test_check(same(buf, "%q 100% %"), __FILE__, __LINE__, "\"%s\"", buf);
	CHECK_EQ(mw_format(buf, 0, "x"), 0);
}

/* Every number of bits, against the digits made one by one. */
TEST(random_numbers)
{
	for (int turn = 0; turn < 2000; turn++) {
		uint64_t n = test_random() >> test_below(64), back = 0;
		char buf[32];

		mw_format(buf, sizeof(buf), "%llu", (unsigned long long)n);
		for (const char *c = buf; *c; c++)
			back = back * 10 + (uint64_t)(*c - '0');
		CHECK_EQ(back, n);
	}
}

/* mw_print() has no longest line: what does not fit its buffer goes out in pieces. */
TEST(print_longer_than_its_buffer)
{
	char text[1000];
	const char *got;
	size_t i;

	for (i = 0; i + 1 < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	text[i] = '\0';
	test_capture();
	mw_print("<%s>\n", text);
	got = test_captured();
	NEED(length(got) == sizeof(text) + 2);
	for (i = 0; i + 1 < sizeof(text) && got[i + 1] == text[i]; i++)
		;
	CHECK_EQ(i, sizeof(text) - 1);
	CHECK(got[0] == '<' && got[sizeof(text)] == '>' && got[sizeof(text) + 1] == '\n');
}
