import ArgumentParser
import Client
import Glibc
import Importer

struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make synthetic documents: JSON Lines on standard output.",
        discussion: """
            The same kind, seed and count make the same bytes on every machine, and a larger count \
            only adds lines.

            Example:
              aisle generate products --count 100000 --seed 1 > products.jsonl
            """
    )

    @Argument(help: "products, stores, orders or events.")
    var kind: Generator.Kind

    @Option(help: "Documents.")
    var count: Int

    @Option(help: "Everything follows from it.")
    var seed: UInt64 = 1

    @Option(help: "Products that stores, orders and events refer to.")
    var products = 100_000

    @Option(help: "Also write f16 vectors of so many dimensions to KIND.npy.")
    var vectors: Int?

    @Option(help: "Where the vectors go instead.")
    var vectorsOutput: String?

    func validate() throws {
        guard count >= 0 else { throw ValidationError("--count takes 0 or more") }
        guard products > 0 else { throw ValidationError("--products takes 1 or more") }
        if let vectors, !(1...4_096).contains(vectors) {
            throw ValidationError("--vectors takes 1 to 4096")
        }
    }

    func run() throws {
        let generator = Generator(kind: kind, seed: seed, productCount: products)
        try Self.emit(count, descriptor: 1, name: "standard output") { index, queue in
            generator.append(index, to: queue)
            queue.append(byte: 0x0A)
        }
        guard let dimensions = vectors else { return }
        let path = vectorsOutput ?? "\(kind.rawValue).npy"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw Failure(
                status: .unreachable,
                text: "\(path): \(String(cString: strerror(errno)))"
            )
        }
        defer { close(descriptor) }
        let made = GeneratorVectors(seed: seed, dimensions: dimensions)
        let count = count
        try Self.emit(max(count, 1), descriptor: descriptor, name: path) { index, queue in
            if index == 0 { made.appendHeader(count: count, to: queue) }
            if count > 0 { made.append(index, to: queue) }
        }
    }

    private static func emit(
        _ count: Int,
        descriptor: CInt,
        name: String,
        _ append: (Int, ByteQueue) -> Void
    ) throws {
        let queue = ByteQueue(capacity: 512 << 10)
        for index in 0..<count {
            append(index, queue)
            if queue.count > 256 << 10 || index == count - 1 {
                try flush(queue, descriptor: descriptor, name: name)
            }
        }
    }

    private static func flush(_ queue: ByteQueue, descriptor: CInt, name: String) throws {
        while !queue.isEmpty {
            let written = write(descriptor, queue.bytes.baseAddress, queue.count)
            if written > 0 {
                queue.take(written)
            } else if errno != EINTR {
                throw Failure(
                    status: .unreachable,
                    text: "\(name): \(String(cString: strerror(errno)))"
                )
            }
        }
    }
}

extension Generator.Kind: ExpressibleByArgument {}
