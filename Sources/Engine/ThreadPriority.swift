#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The priority of the calling thread.
enum ThreadPriority {
    /// Lets event loops and the committer go first. On Linux a thread's niceness is its own, and
    /// `who` 0 names the calling thread.
    static func lower() {
        // PRIO_PROCESS is 0; its imported type differs between C libraries.
        _ = setpriority(.init(0), 0, 10)
    }
}
