#define _GNU_SOURCE
#include "ckernels_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

static void close_others(int keep) {
#if defined(__linux__) && defined(SYS_close_range)
    if ((keep < 1 || syscall(SYS_close_range, 0u, (unsigned)keep - 1, 0u) == 0) &&
        syscall(SYS_close_range, (unsigned)keep + 1, ~0u, 0u) == 0)
        return;
#endif
    long most = sysconf(_SC_OPEN_MAX);
    for (int fd = 0; fd < (most > 0 && most < 1 << 20 ? most : 1 << 20); fd++)
        if (fd != keep) close(fd);
}

void ck_idle_io(void) {
#if defined(__linux__) && defined(SYS_ioprio_set)
    // IOPRIO_WHO_PROCESS, this thread, class idle.
    (void)syscall(SYS_ioprio_set, 1, 0, 3 << 13);
#endif
}

int ck_fork(int keep) {
    pid_t parent = getpid();
    // Whoever started this process may have had it ignore the ends of children: then nobody could
    // ask how they ended.
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
    sigset_t all, before;
    sigfillset(&all);
    // No handler of the parent may run in the child.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid != 0) {
        int code = errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        errno = code;
        return pid;
    }
#if defined(__linux__)
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    prctl(PR_SET_NAME, "aisle-snapshot");
#endif
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
    sigemptyset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    close_others(keep);
    setpriority(PRIO_PROCESS, 0, 19);
    ck_idle_io();
    return 0;
}

int ck_child_state(int pid, int *code) {
    int status;
    pid_t got;
    do got = waitpid(pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0) return 0;
    if (got < 0) return -1;
    if (WIFEXITED(status)) {
        *code = WEXITSTATUS(status);
        return 1;
    }
    *code = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return 2;
}

void ck_child_kill(int pid) {
    int status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
}

void *ck_shared_allocate(size_t size) {
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

void ck_shared_free(void *block, size_t size) { munmap(block, size); }

void ck_write_behind(int descriptor, uint64_t from, uint64_t to) {
#if defined(__linux__)
    (void)sync_file_range(descriptor, (off64_t)from, (off64_t)(to - from), SYNC_FILE_RANGE_WRITE);
    uint64_t start = from > (64u << 20) ? from - (64u << 20) : 0;
    if (from > start)
        (void)sync_file_range(
            descriptor, (off64_t)start, (off64_t)(from - start),
            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
#else
    (void)descriptor, (void)from, (void)to;
#endif
}

int64_t ck_free_space(const char *path) {
    struct statvfs status;
    if (statvfs(path, &status) != 0) return -1;
    return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}
