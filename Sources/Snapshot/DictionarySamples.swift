import CZstd

/// Collects samples and makes a dictionary of them.
package struct DictionarySamples {
    private var bytes: [UInt8] = []
    private var sizes: [Int] = []
    private let byteCountMax: Int

    /// Samples of which all together have up to about `byteCountMax` bytes.
    package init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

    package var isFull: Bool { bytes.count >= byteCountMax }

    package mutating func add(_ sample: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: sample)
        sizes.append(sample.count)
    }

    /// A dictionary of at most `byteCount` bytes; empty where the samples are too few for one.
    package func train(byteCount: Int) -> [UInt8] {
        // Fewer than that say nothing of what is common.
        guard sizes.count >= 64, bytes.count >= byteCount * 8 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: byteCount) { target, count in
            let size = ZDICT_trainFromBuffer(
                target.baseAddress, byteCount, bytes, sizes, UInt32(sizes.count))
            count = ZDICT_isError(size) != 0 ? 0 : size
        }
    }
}
