#pragma once
#include <stddef.h>
#include <stdint.h>

// A child process with a frozen copy of this one's memory, for whoever has to write that memory
// down while it changes. Swift cannot express these calls: fork is hidden from it, prctl and the
// call for the priority of I/O are variadic.

// Forks. In the child (result 0) signals are as the system has them, every descriptor but `keep` is
// closed (a lock or a listening socket that it kept would outlive the parent), the priority is the
// least, and it ends with the thread that forked. -1: errno says why.
int ck_fork(int keep);
// What became of a child: 0 runs, 1 ended with `*code`, 2 was ended by signal `*code`, -1 unknown.
int ck_child_state(int pid, int *code);
// Ends a child at once and waits for it.
void ck_child_kill(int pid);
// Zeroed memory that a child shares with its parent; NULL if there is none.
void *ck_shared_allocate(size_t size);
void ck_shared_free(void *block, size_t size);
// Begins to write bytes from..<to of a file to the disk, and waits for those before `from`: so that
// the sync at the end finds little left, and nobody else's sync waits for it.
void ck_write_behind(int descriptor, uint64_t from, uint64_t to);
// Bytes that a process without rights may still write to the file system of `path`; -1: errno.
int64_t ck_free_space(const char *path);
// Lets the calling thread use the disk only when nobody else does.
void ck_idle_io(void);
