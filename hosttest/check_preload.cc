// SPDX-License-Identifier: MIT
// C++ over a preloaded malloc: new and delete of every kind, containers, exceptions, threads.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static unsigned int failures;

static void check(bool ok, const char *what)
{
	if (!ok) {
		failures++;
		std::printf("# failed: %s\n", what);
	}
}

struct alignas(256) Wide {
	char body[300];
};

struct Thrower {
	std::vector<std::string> kept;
	explicit Thrower(unsigned int n)
	{
		for (unsigned int i = 0; i < n; i++)
			kept.push_back(std::string(i % 90, 'x'));
		if (n % 2)
			throw std::runtime_error("odd: " + std::to_string(n));
	}
};

static void operators()
{
	for (unsigned int i = 1; i < 2000; i++) {
		std::unique_ptr<char[]> bytes(new char[i]);
		std::unique_ptr<Wide> wide(new Wide);

		check(reinterpret_cast<std::uintptr_t>(wide.get()) % alignof(Wide) == 0, "aligned new");
		bytes[i - 1] = wide->body[299] = 1;
	}
	volatile std::size_t huge = SIZE_MAX / 2 + 1;
	check(!::operator new(huge, std::nothrow), "nothrow new of too much");
	try {
		::operator delete(::operator new(huge));
		check(false, "new of too much");
	} catch (const std::bad_alloc &) {
	}
}

// Each kind of new with each kind of delete that may follow it, with the size where it brings one.
static void deletes()
{
	for (std::size_t size = 0; size < 70000; size += size / 9 + 1) {
		void *p[5];

		for (auto &one : p)
			std::memset(one = ::operator new(size), 1, size);
		::operator delete(p[0]);
		::operator delete(p[1], size);
		::operator delete[](p[2], size);
		::operator delete(p[3], std::nothrow);
		::operator delete[](p[4]);
		for (std::size_t align = 1; align <= 16384; align *= 2) {
			auto val = std::align_val_t(align);

			for (unsigned int i = 0; i < 4; i++) {
				p[i] = i % 2 ? ::operator new(size, val) : ::operator new[](size, val, std::nothrow);
				check(reinterpret_cast<std::uintptr_t>(p[i]) % align == 0, "alignment of new");
				std::memset(p[i], 1, size);
			}
			::operator delete(p[0], val);
			::operator delete(p[1], size, val);
			::operator delete[](p[2], size, val);
			::operator delete[](p[3], val, std::nothrow);
		}
	}
	::operator delete(nullptr, 5);
	::operator delete(nullptr, 5, std::align_val_t(64));
}

static unsigned int handled;

// Out of memory is the C++ library's: it asks the handler, then throws.
static void handlers()
{
	volatile std::size_t huge = SIZE_MAX / 2 - 100;

	std::set_new_handler([] {
		if (++handled % 3 == 0)
			std::set_new_handler(nullptr);
	});
	check(!::operator new[](huge, std::align_val_t(64), std::nothrow), "nothrow new of far too much");
	check(handled == 3, "the handler was asked");
	std::set_new_handler([] { throw std::bad_alloc(); });
	try {
		(void)::operator new[](huge);
		check(false, "new of far too much");
	} catch (const std::bad_alloc &) {
	}
	std::set_new_handler(nullptr);
}

static unsigned int caught(unsigned int seed)
{
	thread_local std::map<unsigned int, std::string> seen;
	unsigned int n = 0;

	for (unsigned int i = 0; i < 3000; i++) {
		try {
			Thrower t((seed + i) % 60);
			seen[i % 200] = std::to_string(i) + std::string(i % 70, 'y');
		} catch (const std::runtime_error &e) {
			n += std::string(e.what()).size() > 5;
		}
	}
	return n;
}

int main()
{
	std::vector<std::thread> threads;
	std::vector<unsigned int> counts(8);

	operators();
	deletes();
	handlers();
	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < counts.size(); i++)
			threads.emplace_back([&counts, i] { counts[i] = caught(i); });
		for (auto &thread : threads)
			thread.join();
		threads.clear();
		for (unsigned int n : counts)
			check(n == 1500, "every second constructor throws");
	}
	std::puts(failures ? "not ok" : "ok");
	return failures != 0;
}
