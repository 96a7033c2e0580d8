// SPDX-License-Identifier: MIT
/* Frames of a stream on their way out, caught before they reach the host. */
#include "export.h"
#include "kernel.h"
#include "test.h"

#define MOST (1u << 20)

static uint8_t *caught;
static size_t len, refuse_after;

static bool catch (const void *bytes, size_t n)
{
	if (len + n > refuse_after)
		return false;
	memcpy(caught + len, bytes, n);
	len += n;
	return true;
}

static void begin(void)
{
	caught = test_memory(MOST);
	NEED(caught);
	len = 0;
	refuse_after = MOST;
	test_capture();
	NEED(export_begin("some.name", catch));
}

static uint32_t number(size_t at)
{
	return caught[at] | (uint32_t)caught[at + 1] << 8 | (uint32_t)caught[at + 2] << 16 |
	       (uint32_t)caught[at + 3] << 24;
}

/* The frame at @at: header, kind, sequence. Return: where its bytes are. */
static size_t frame(size_t at, enum export_kind kind, uint32_t sequence, uint32_t length)
{
	CHECK(!memcmp(caught + at, "MwXf", 4));
	CHECK_EQ(number(at + 4), kind);
	CHECK_EQ(number(at + 8), sequence);
	CHECK_EQ(number(at + 12), length);
	CHECK_EQ(number(at + 20), export_crc(0, caught + at, 20));
	return at + EXPORT_HEADER;
}

TEST(sum_is_the_usual_one)
{
	CHECK_EQ(export_crc(0, "", 0), 0);
	CHECK_EQ(export_crc(0, "123456789", 9), 0xcbf43926u);
	/* In parts, at each place. */
	for (size_t i = 0; i <= 9; i++)
		CHECK_EQ(export_crc(export_crc(0, "123456789", i), &"123456789"[i], 9 - i),
			 0xcbf43926u);
}

TEST(frames_are_as_the_format_says)
{
	static uint8_t data[EXPORT_PIECE + 1000];
	size_t at = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	begin();
	for (size_t i = 0; i < sizeof(data); i += 1000)
		CHECK(export_bytes(NULL, data + i, sizeof(data) - i < 1000 ? sizeof(data) - i : 1000));
	CHECK(!export_begin("another", catch));
	CHECK(export_end(true));
	at = frame(at, EXPORT_BEGIN, 0, 9);
	CHECK(!memcmp(caught + at, "some.name", 9));
	at = frame(at + 9, EXPORT_DATA, 1, EXPORT_PIECE);
	CHECK(!memcmp(caught + at, data, EXPORT_PIECE));
	CHECK_EQ(number(at - 8), export_crc(0, data, EXPORT_PIECE));
	at = frame(at + EXPORT_PIECE, EXPORT_DATA, 2, 1000);
	CHECK(!memcmp(caught + at, data + EXPORT_PIECE, 1000));
	at = frame(at + 1000, EXPORT_END, 3, 8);
	CHECK_EQ(number(at - 8), export_crc(0, data, sizeof(data)));
	CHECK_EQ(number(at), sizeof(data));
	CHECK_EQ(number(at + 4), 0);
	CHECK_EQ(at + 8, len);
	memset(data, 0, sizeof(data));
}

TEST(nothing_is_a_stream_too)
{
	begin();
	CHECK(export_end(true));
	CHECK_EQ(frame(EXPORT_HEADER + 9, EXPORT_END, 1, 8) + 8, len);
}

TEST(writer_that_gives_up_is_told_to_the_reader)
{
	begin();
	CHECK(export_bytes(NULL, "abc", 3));
	CHECK(!export_end(false));
	CHECK_EQ(frame(2 * EXPORT_HEADER + 9 + 3, EXPORT_LOST, 2, 8) + 8, len);
}

TEST(host_that_does_not_take_it_stops_the_writer)
{
	static const uint8_t data[EXPORT_PIECE];

	begin();
	refuse_after = 50000;
	CHECK(export_bytes(NULL, data, sizeof(data)));
	CHECK(!export_bytes(NULL, data, sizeof(data)));
	CHECK(!export_bytes(NULL, data, 1));
	CHECK(!export_end(true));
	CHECK(len <= refuse_after);
	/* And the next stream goes out again. */
	begin();
	CHECK(export_end(true));
}
