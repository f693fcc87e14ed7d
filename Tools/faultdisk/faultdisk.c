// faultdisk: a disk that fails on demand, as a preloaded library.
//
// It wraps the file calls of one process for files below $FAULTDISK_DIR and can
//   * fail the n-th call of a kind with a chosen errno, or cut it short;
//   * refuse to grow files beyond a budget of bytes (ENOSPC), as a full disk does;
//   * "cut the power": take back a random subset of the 512-byte sectors, file sizes and renames
//     that were not synced yet, then end the process at once.
//
// Model. A write is in the page cache until fsync or fdatasync of its file; then it is on the
// disk. Writes through a descriptor opened with O_DSYNC or O_SYNC are on the disk when they return.
// At a power cut every unsynced sector independently either reached the disk or did not; a sector
// is never torn. A file's size reached the disk or did not. A rename is durable once the directory
// was synced; until then it may be undone. After a failed sync its sectors stay in the cache, but
// no later sync saves them unless they are written again, as on Linux.
//
// Build: cc -O2 -shared -fPIC -o libfaultdisk.so faultdisk.c -ldl -lpthread
//
// Environment:
//   FAULTDISK_DIR     absolute path; files below it are subject to faults (required)
//   FAULTDISK_SEED    seed of every random choice (default 1)
//   FAULTDISK_FAIL    kind:n:errno[:count]  fails the n-th call (from 1) of the kind, and the
//                     count - 1 calls after it. Kinds: write sync dsync any, and open, which is
//                     not among any and is not cut. errno is a number;
//                     0 means a short write (for writes). A second fault: FAULTDISK_FAIL2
//   FAULTDISK_BUDGET  bytes by which files may grow in all; SIGUSR1 lifts the limit
//   FAULTDISK_CUT     kind:n   cuts the power at the n-th call of the kind: a write is done and
//                     then may be lost; a sync is cut before it has any effect. SIGUSR2 cuts the
//                     power at the next call
//   FAULTDISK_LOSE    percent of unsynced sectors that are lost at a cut (default 50)
//   FAULTDISK_LOG     a file to which the counts of calls are written at exit
//
// After a power cut the process ends with status 137.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTOR = 512, FD_MAX = 4096, FILE_MAX = 64, RENAME_MAX = 64 };

// ---- the real calls ---------------------------------------------------------------------------

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_msync)(void *, size_t, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_posix_fallocate)(int, off_t, off_t);
static int (*real_rename)(const char *, const char *);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// ---- state ------------------------------------------------------------------------------------

// What a sector held when its file was last synced.
struct undo {
    uint64_t sector;
    uint32_t doomed; // a sync of its newer bytes failed: later syncs do not save them
    unsigned char bytes[SECTOR];
};

struct file {
    dev_t device;
    ino_t inode;
    int fd; // our own descriptor to take writes back with; -1 where the entry is unused
    off_t synced_size;
    struct undo *undos; // open-addressed by sector, capacity a power of two
    uint8_t *used;
    size_t count, capacity;
};

struct rename_undo {
    char from[PATH_MAX], to[PATH_MAX], saved[PATH_MAX + 32];
    int had_target;
};

struct fault {
    char kind[8];
    long at, count;
    int code;
};

static char dir[PATH_MAX];
static size_t dir_length;
static struct file files[FILE_MAX];
static int16_t file_of[FD_MAX]; // index + 1 of a descriptor's file; 0: none; -1: a directory
static uint8_t is_dsync[FD_MAX];
static struct rename_undo renames[RENAME_MAX];
static int rename_count;
static struct fault faults[2];
static struct fault cut;
static long budget = -1;
static int lose_percent = 50;
static uint64_t random_state = 1;
static long write_count, sync_count, dsync_count, open_count, call_count;
static volatile sig_atomic_t cut_requested;
static char log_path[PATH_MAX];

static uint64_t next_random(void) {
    uint64_t z = (random_state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static void on_usr1(int signal) {
    (void)signal;
    budget = -1;
}

static void on_usr2(int signal) {
    (void)signal;
    cut_requested = 1;
}

static void take_lock(void) { pthread_mutex_lock(&lock); }
static void give_lock(void) { pthread_mutex_unlock(&lock); }

static void parse_fault(const char *text, struct fault *fault) {
    fault->at = 0;
    fault->count = 1;
    if (text) {
        sscanf(text, "%7[a-z]:%ld:%d:%ld", fault->kind, &fault->at, &fault->code, &fault->count);
    }
}

static void initialise(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_openat = dlsym(RTLD_NEXT, "openat");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_pwritev = dlsym(RTLD_NEXT, "pwritev");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_msync = dlsym(RTLD_NEXT, "msync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_fallocate = dlsym(RTLD_NEXT, "fallocate");
    real_posix_fallocate = dlsym(RTLD_NEXT, "posix_fallocate");
    real_rename = dlsym(RTLD_NEXT, "rename");
    const char *text = getenv("FAULTDISK_DIR");
    if (!text || text[0] != '/') return;
    snprintf(dir, sizeof dir, "%s", text);
    dir_length = strlen(dir);
    for (int i = 0; i < FILE_MAX; i++) files[i].fd = -1;
    if ((text = getenv("FAULTDISK_SEED"))) random_state = strtoull(text, NULL, 10);
    if ((text = getenv("FAULTDISK_BUDGET"))) budget = atol(text);
    if ((text = getenv("FAULTDISK_LOSE"))) lose_percent = atoi(text);
    if ((text = getenv("FAULTDISK_LOG"))) snprintf(log_path, sizeof log_path, "%s", text);
    parse_fault(getenv("FAULTDISK_FAIL"), &faults[0]);
    parse_fault(getenv("FAULTDISK_FAIL2"), &faults[1]);
    if ((text = getenv("FAULTDISK_CUT"))) sscanf(text, "%7[a-z]:%ld", cut.kind, &cut.at);
    // A forked child must not find the lock taken by a thread that it does not have.
    pthread_atfork(take_lock, give_lock, give_lock);
    signal(SIGUSR1, on_usr1);
    signal(SIGUSR2, on_usr2);
}

static void start(void) { pthread_once(&once, initialise); }

__attribute__((destructor)) static void write_log(void) {
    if (!log_path[0]) return;
    char line[160];
    int length = snprintf(line, sizeof line, "write %ld\nsync %ld\ndsync %ld\nopen %ld\nany %ld\n",
                          write_count, sync_count, dsync_count, open_count, call_count);
    int fd = real_open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) return;
    if (real_write(fd, line, (size_t)length) < 0) { /* the log is a courtesy */ }
    real_close(fd);
}

// ---- the files --------------------------------------------------------------------------------

// Whether `path` names the directory or something below it. Relative paths are not looked at.
static int below(const char *path) {
    return dir_length && strncmp(path, dir, dir_length) == 0
        && (path[dir_length] == '/' || path[dir_length] == 0);
}

static void track(int fd, const char *path, int flags) {
    struct stat status;
    if (fd < 0 || fd >= FD_MAX || fstat(fd, &status) != 0) return;
    if (S_ISDIR(status.st_mode)) {
        file_of[fd] = -1;
        return;
    }
    if (!S_ISREG(status.st_mode)) return;
    is_dsync[fd] = (flags & (O_DSYNC | O_SYNC)) != 0;
    int unused = -1;
    for (int i = 0; i < FILE_MAX; i++) {
        if (files[i].fd >= 0 && files[i].device == status.st_dev
            && files[i].inode == status.st_ino) {
            file_of[fd] = (int16_t)(i + 1);
            return;
        }
        if (files[i].fd < 0 && unused < 0) unused = i;
    }
    if (unused < 0) return;
    struct file *file = &files[unused];
    memset(file, 0, sizeof *file);
    file->fd = real_open(path, O_RDWR | O_CLOEXEC);
    if (file->fd < 0) return;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->synced_size = status.st_size;
    file_of[fd] = (int16_t)(unused + 1);
}

static struct file *tracked(int fd) {
    if (fd < 0 || fd >= FD_MAX || file_of[fd] <= 0) return NULL;
    return &files[file_of[fd] - 1];
}

static size_t place(const struct file *file, uint64_t sector) {
    size_t i = (size_t)(sector * 0x9E3779B97F4A7C15ull) & (file->capacity - 1);
    while (file->used[i] && file->undos[i].sector != sector) i = (i + 1) & (file->capacity - 1);
    return i;
}

static void grow(struct file *file) {
    struct file old = *file;
    file->capacity = old.capacity ? old.capacity * 2 : 1024;
    file->undos = malloc(file->capacity * sizeof *file->undos);
    file->used = calloc(file->capacity, 1);
    if (!file->undos || !file->used) abort();
    for (size_t i = 0; i < old.capacity; i++) {
        if (!old.used[i]) continue;
        size_t to = place(file, old.undos[i].sector);
        file->used[to] = 1;
        file->undos[to] = old.undos[i];
    }
    free(old.undos);
    free(old.used);
}

// Remembers what the sectors of a coming write hold, unless that is remembered already.
static void remember(struct file *file, off_t offset, size_t size) {
    if (size == 0) return;
    uint64_t first = (uint64_t)offset / SECTOR, last = ((uint64_t)offset + size - 1) / SECTOR;
    for (uint64_t sector = first; sector <= last; sector++) {
        if (file->count * 2 >= file->capacity) grow(file);
        size_t at = place(file, sector);
        if (file->used[at]) {
            file->undos[at].doomed = 0; // written anew, so that the next sync takes it
            continue;
        }
        file->used[at] = 1;
        file->count++;
        file->undos[at].sector = sector;
        file->undos[at].doomed = 0;
        ssize_t got = pread(file->fd, file->undos[at].bytes, SECTOR, (off_t)(sector * SECTOR));
        if (got < 0) got = 0;
        memset(file->undos[at].bytes + got, 0, (size_t)(SECTOR - got));
    }
}

static void synced(struct file *file) {
    struct stat status;
    struct file old = *file;
    file->undos = NULL;
    file->used = NULL;
    file->count = file->capacity = 0;
    for (size_t i = 0; i < old.capacity; i++) {
        if (!old.used[i] || !old.undos[i].doomed) continue;
        if (file->count * 2 >= file->capacity) grow(file);
        size_t to = place(file, old.undos[i].sector);
        file->used[to] = 1;
        file->undos[to] = old.undos[i];
        file->count++;
    }
    free(old.undos);
    free(old.used);
    if (fstat(file->fd, &status) == 0) file->synced_size = status.st_size;
}

// A sync failed: as on Linux, the pages are taken for clean and only a new write saves them.
static void doom(struct file *file) {
    for (size_t i = 0; i < file->capacity; i++) {
        if (file->used[i]) file->undos[i].doomed = 1;
    }
}

// ---- the power cut ----------------------------------------------------------------------------

static void take_back(struct file *file) {
    struct stat status;
    int lose_size = (int)(next_random() % 100) < lose_percent;
    for (size_t i = 0; i < file->capacity; i++) {
        if (!file->used[i] || (int)(next_random() % 100) >= lose_percent) continue;
        off_t at = (off_t)(file->undos[i].sector * SECTOR);
        real_pwrite(file->fd, file->undos[i].bytes, SECTOR, at);
    }
    if (fstat(file->fd, &status) != 0) return;
    if (status.st_size > file->synced_size && lose_size) {
        real_ftruncate(file->fd, file->synced_size);
    }
}

__attribute__((noreturn)) static void cut_power(void) {
    for (int i = rename_count - 1; i >= 0; i--) {
        if ((int)(next_random() % 100) >= lose_percent) continue;
        real_rename(renames[i].to, renames[i].from);
        if (renames[i].had_target) real_rename(renames[i].saved, renames[i].to);
    }
    for (int i = 0; i < rename_count; i++) unlink(renames[i].saved);
    for (int i = 0; i < FILE_MAX; i++) {
        if (files[i].fd >= 0) take_back(&files[i]);
    }
    write_log();
    _exit(137);
}

// ---- which calls fail -------------------------------------------------------------------------

enum verdict { GO_ON, FAIL, SHORT, CUT };

static int is_kind(const char *kind, const char *wanted) {
    return strcmp(wanted, kind) == 0 || strcmp(wanted, "any") == 0;
}

static long *counter(const char *kind) {
    if (kind[0] == 'w') return &write_count;
    return kind[0] == 's' ? &sync_count : &dsync_count;
}

// Counts a call of `kind` and says what shall become of it. An errno is set for FAIL.
static enum verdict judge(const char *kind) {
    long of_kind = ++*counter(kind), of_all = ++call_count;
    long at = strcmp(cut.kind, "any") == 0 ? of_all : of_kind;
    if (cut_requested || (cut.at && is_kind(kind, cut.kind) && at == cut.at)) return CUT;
    for (int i = 0; i < 2; i++) {
        const struct fault *fault = &faults[i];
        if (!fault->at || !is_kind(kind, fault->kind)) continue;
        long n = strcmp(fault->kind, "any") == 0 ? of_all : of_kind;
        if (n < fault->at || n >= fault->at + fault->count) continue;
        if (fault->code == 0) return SHORT;
        errno = fault->code;
        return FAIL;
    }
    return GO_ON;
}

// Counts an open below the directory and says whether it shall fail; an errno is set then.
static int refuses_open(const char *path) {
    if (!below(path)) return 0;
    int refused = 0;
    pthread_mutex_lock(&lock);
    open_count++;
    for (int i = 0; i < 2; i++) {
        const struct fault *fault = &faults[i];
        if (strcmp(fault->kind, "open") != 0 || !fault->at) continue;
        if (open_count < fault->at || open_count >= fault->at + fault->count) continue;
        errno = fault->code;
        refused = 1;
    }
    pthread_mutex_unlock(&lock);
    return refused;
}

// How many of `size` bytes at `offset` fit; each byte beyond the file's end takes from the budget.
static size_t afford(struct file *file, off_t offset, size_t size) {
    struct stat status;
    if (budget < 0 || fstat(file->fd, &status) != 0) return size;
    off_t end = offset + (off_t)size;
    off_t growth = end > status.st_size ? end - status.st_size : 0;
    if (growth <= budget) {
        budget -= growth;
        return size;
    }
    off_t fits = status.st_size + budget - offset;
    budget = 0;
    return fits > 0 ? (size_t)fits : 0;
}

// One write at `offset`, under the lock; `done` carries it out for a number of bytes.
static ssize_t write_at(int fd, struct file *file, const void *bytes, size_t size, off_t offset) {
    const char *kind = is_dsync[fd] ? "dsync" : "write";
    enum verdict verdict = judge(kind);
    if (verdict == FAIL) return -1;
    size_t fits = afford(file, offset, size);
    if (fits == 0 && size > 0) {
        errno = ENOSPC;
        return -1;
    }
    if (verdict == SHORT && fits > 1) fits = 1 + next_random() % (fits - 1);
    remember(file, offset, fits);
    ssize_t result = real_pwrite(fd, bytes, fits, offset);
    if (verdict == CUT) cut_power();
    if (result > 0 && is_dsync[fd]) {
        // Only these sectors are on the disk now; others of the file may be in the cache.
        uint64_t last = ((uint64_t)offset + fits - 1) / SECTOR;
        for (uint64_t s = (uint64_t)offset / SECTOR; s <= last; s++) {
            size_t at = place(file, s);
            if (!file->used[at]) continue;
            // The table has no deletion: what is remembered becomes what is there.
            if (pread(file->fd, file->undos[at].bytes, SECTOR, (off_t)(s * SECTOR)) < 0) abort();
        }
        struct stat status;
        if (fstat(fd, &status) == 0 && offset + result > file->synced_size) {
            file->synced_size = offset + result;
        }
    }
    return result;
}

static ssize_t writev_at(int fd, struct file *file, const struct iovec *parts, int count,
                         off_t offset) {
    size_t total = 0, filled = 0;
    for (int i = 0; i < count; i++) total += parts[i].iov_len;
    char *bytes = malloc(total ? total : 1);
    if (!bytes) abort();
    for (int i = 0; i < count; i++) {
        memcpy(bytes + filled, parts[i].iov_base, parts[i].iov_len);
        filled += parts[i].iov_len;
    }
    ssize_t result = write_at(fd, file, bytes, total, offset);
    int code = errno;
    free(bytes);
    errno = code;
    return result;
}

// ---- the wrapped calls ------------------------------------------------------------------------

static int opened(int fd, const char *path, int flags) {
    if (fd >= 0 && fd < FD_MAX) {
        pthread_mutex_lock(&lock);
        int code = errno;
        file_of[fd] = 0;
        is_dsync[fd] = 0;
        // LMDB's table of readers is shared memory, not data: it is no part of the disk.
        size_t length = strlen(path);
        int is_lock = length >= 5 && strcmp(path + length - 5, "-lock") == 0;
        if (below(path) && !is_lock) track(fd, path, flags);
        errno = code;
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

#define MODE(flags)                                                                                \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    start();
    if (refuses_open(path)) return -1;
    return opened(real_open(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    start();
    if (refuses_open(path)) return -1;
    return opened(real_open(path, flags | O_LARGEFILE, mode), path, flags);
}

int openat(int at, const char *path, int flags, ...) {
    MODE(flags)
    start();
    if (refuses_open(path)) return -1;
    return opened(real_openat(at, path, flags, mode), path, flags);
}

int openat64(int at, const char *path, int flags, ...) {
    MODE(flags)
    start();
    if (refuses_open(path)) return -1;
    return opened(real_openat(at, path, flags | O_LARGEFILE, mode), path, flags);
}

int close(int fd) {
    start();
    if (fd >= 0 && fd < FD_MAX) {
        pthread_mutex_lock(&lock);
        file_of[fd] = 0;
        is_dsync[fd] = 0;
        pthread_mutex_unlock(&lock);
    }
    return real_close(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    start();
    struct file *file = tracked(fd);
    if (!file) return real_pwrite(fd, bytes, size, offset);
    pthread_mutex_lock(&lock);
    ssize_t result = write_at(fd, file, bytes, size, offset);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset) {
    return pwrite(fd, bytes, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    start();
    struct file *file = tracked(fd);
    if (!file) return real_pwritev(fd, parts, count, offset);
    pthread_mutex_lock(&lock);
    ssize_t result = writev_at(fd, file, parts, count, offset);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) {
    return pwritev(fd, parts, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    start();
    struct file *file = tracked(fd);
    if (!file) return real_write(fd, bytes, size);
    pthread_mutex_lock(&lock);
    off_t offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t result = write_at(fd, file, bytes, size, offset);
    if (result > 0) lseek(fd, offset + result, SEEK_SET);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    start();
    struct file *file = tracked(fd);
    if (!file) return real_writev(fd, parts, count);
    pthread_mutex_lock(&lock);
    off_t offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t result = writev_at(fd, file, parts, count, offset);
    if (result > 0) lseek(fd, offset + result, SEEK_SET);
    pthread_mutex_unlock(&lock);
    return result;
}

static int sync_of(int fd) {
    start();
    if (fd < 0 || fd >= FD_MAX || file_of[fd] == 0) return 0;
    pthread_mutex_lock(&lock);
    enum verdict verdict = judge("sync");
    if (verdict == CUT) cut_power();
    if (verdict == FAIL || verdict == SHORT) {
        if (verdict == SHORT) errno = EIO;
        if (file_of[fd] > 0) doom(&files[file_of[fd] - 1]);
        pthread_mutex_unlock(&lock);
        return -1;
    }
    if (file_of[fd] < 0) {
        for (int i = 0; i < rename_count; i++) unlink(renames[i].saved);
        rename_count = 0;
    } else {
        synced(&files[file_of[fd] - 1]);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

// The real syncs are left out: the process lives or dies by this library's model, and runs faster.
int fsync(int fd) {
    if (fd >= 0 && fd < FD_MAX && file_of[fd] != 0) return sync_of(fd);
    start();
    return real_fsync(fd);
}

int fdatasync(int fd) {
    if (fd >= 0 && fd < FD_MAX && file_of[fd] != 0) return sync_of(fd);
    start();
    return real_fdatasync(fd);
}

int msync(void *address, size_t length, int flags) {
    // Written pages of a shared map are not modelled: say so rather than pretend.
    start();
    if (dir_length) {
        errno = ENOSYS;
        return -1;
    }
    return real_msync(address, length, flags);
}

int ftruncate(int fd, off_t size) {
    start();
    struct file *file = tracked(fd);
    struct stat status;
    if (!file || fstat(fd, &status) != 0) return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (judge("write") != FAIL) {
        if (size < status.st_size) remember(file, size, (size_t)(status.st_size - size));
        result = real_ftruncate(fd, size);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

// 0 or an errno; growth is paid for in whole.
static int allocate(int fd, off_t offset, off_t size) {
    struct stat status;
    enum verdict verdict = judge("write");
    if (verdict == CUT) cut_power();
    if (verdict == FAIL) return errno;
    if (verdict == SHORT) return ENOSPC;
    if (fstat(fd, &status) != 0) return errno;
    off_t growth = offset + size > status.st_size ? offset + size - status.st_size : 0;
    if (budget >= 0 && growth > budget) return ENOSPC;
    if (budget >= 0) budget -= growth;
    return real_posix_fallocate(fd, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
    start();
    struct file *file = tracked(fd);
    if (!file) return real_posix_fallocate(fd, offset, size);
    pthread_mutex_lock(&lock);
    int code = allocate(fd, offset, size);
    pthread_mutex_unlock(&lock);
    return code;
}

int posix_fallocate64(int fd, off_t offset, off_t size) {
    return posix_fallocate(fd, offset, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
    start();
    struct file *file = tracked(fd);
    if (!file || mode != 0) return real_fallocate(fd, mode, offset, size);
    pthread_mutex_lock(&lock);
    int code = allocate(fd, offset, size);
    pthread_mutex_unlock(&lock);
    if (code) errno = code;
    return code ? -1 : 0;
}

int fallocate64(int fd, int mode, off_t offset, off_t size) {
    return fallocate(fd, mode, offset, size);
}

int rename(const char *from, const char *to) {
    start();
    if (!below(to)) return real_rename(from, to);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (judge("write") != FAIL && rename_count < RENAME_MAX) {
        struct rename_undo *undo = &renames[rename_count];
        snprintf(undo->from, sizeof undo->from, "%s", from);
        snprintf(undo->to, sizeof undo->to, "%s", to);
        snprintf(undo->saved, sizeof undo->saved, "%s.undo%d", to, rename_count);
        unlink(undo->saved);
        undo->had_target = link(to, undo->saved) == 0;
        result = real_rename(from, to);
        if (result == 0) rename_count++;
    }
    pthread_mutex_unlock(&lock);
    return result;
}
