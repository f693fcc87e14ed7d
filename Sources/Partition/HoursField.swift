package import HoursIndex
package import Schema

/// The opening hours of one declared field in one partition, by row.
///
/// Thread rule: as for the partition, whose lock covers it.
package final class HoursField {
    package let field: Field
    /// False while an `ALTER` brings in the hours of old rows: queries must not use it yet.
    package internal(set) var isReady: Bool
    package let table = HoursTable()

    init(field: Field, isReady: Bool) {
        self.field = field
        self.isReady = isReady
    }
}
