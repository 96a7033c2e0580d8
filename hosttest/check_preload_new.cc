// SPDX-License-Identifier: MIT
// A program that replaces operator new and delete, the single ones only: by the language's rules all the
// others lead to them, whatever malloc is preloaded.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

static unsigned long news, deletes, wrong;

// So much stands in front of an object, and says that it came from here.
static const std::size_t front = 32, mark = 0x600dULL;

void *operator new(std::size_t size)
{
	char *p = static_cast<char *>(std::malloc(size + front));

	if (!p)
		throw std::bad_alloc();
	*reinterpret_cast<std::size_t *>(p) = mark;
	news++;
	return p + front;
}

void operator delete(void *object) noexcept
{
	char *p = static_cast<char *>(object) - front;

	if (!object)
		return;
	deletes++;
	wrong += *reinterpret_cast<std::size_t *>(p) != mark;
	std::free(p);
}

struct Pair {
	std::string a, b;
};

int main()
{
	std::string text;

	for (unsigned int i = 0; i < 500; i++) {
		std::vector<Pair> pairs(i % 20);
		Pair *one = new Pair, *few = new Pair[3], *quiet = new (std::nothrow) Pair;
		int *plain = new (std::nothrow) int[i + 1];

		pairs.push_back({std::string(i, 'x'), "y"});
		text += pairs.back().b;
		delete one;
		delete[] few;
		delete quiet;
		::operator delete[](plain, sizeof(int) * (i + 1));
		::operator delete(::operator new(i), i);
	}
	std::printf("%zu %s\n", text.size(), news >= 2500 && news - deletes < 5 && !wrong ? "ok" : "not ok");
	return !(news >= 2500 && news - deletes < 5 && !wrong);
}
