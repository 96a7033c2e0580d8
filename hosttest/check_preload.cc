// SPDX-License-Identifier: MIT
// C++ over a preloaded malloc: new and delete of every kind, containers, exceptions, threads.
#include <cstdint>
#include <cstdio>
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
