/* Owners that clean up after themselves. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Hands a pointer over: evaluates to it and leaves NULL behind. */
#define TAKE_PTR(pointer)                                                                          \
	__extension__({                                                                            \
		__typeof__(pointer) *take_from_ = &(pointer);                                      \
		__typeof__(pointer) taken_ = *take_from_;                                          \
		*take_from_ = NULL;                                                                \
		taken_;                                                                            \
	})

/* Defines cleanup_FUNCTION() for variables of this pointer type; the function takes NULL, too. */
#define DEFINE_CLEANUP(type, function)                                                             \
	static inline void cleanup_##function(type *pointer)                                       \
	{                                                                                          \
		function(*pointer);                                                                \
	}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cleanup_closedir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
