import Client

extension Generator {
    /// One store near the middle of a town.
    func appendStore(_ index: Int, _ random: inout GeneratorRandom, to output: ByteQueue) {
        let city = GeneratorCity.all[random.below(GeneratorCity.all.count)]
        let brand = random.pick(Words.storeBrands)
        output.append("{\"id\":\"")
        Self.appendID("s-", index, to: output)
        output.append("\",\"name\":\"")
        output.append(brand)
        output.append(byte: 0x20)
        output.append(city.name)
        output.append(byte: 0x20)
        output.append(decimal: 1 + random.below(40))
        output.append("\",\"brand\":\"")
        output.append(brand)
        output.append("\",\"type\":\"")
        output.append(random.pick(Words.storeTypes))
        // Within about 15 km of the middle, denser towards it.
        let latitude = city.latitude + Int(random.normal() * 500)
        let longitude = city.longitude + Int(random.normal() * 600)
        output.append("\",\"location\":{\"type\":\"Point\",\"coordinates\":[")
        Self.appendDegrees(longitude, to: output)
        output.append(byte: 0x2C)
        Self.appendDegrees(latitude, to: output)
        output.append("]},")
        Self.appendAddress(city, &random, to: output)
        output.append(",\"phone\":\"+1 555-")
        output.append(decimal: 100 + random.below(900))
        output.append(byte: 0x2D)
        output.append(decimal: random.below(10_000), width: 4)
        output.append("\",\"hours\":")
        Self.appendHours(city, &random, to: output)
        Self.appendServices(&random, to: output)
        output.append(",\"delivery_radius_km\":")
        output.append(decimal: random.below(51))
        output.append(",\"inventory_product_ids\":[")
        for at in 0..<(5 + random.below(36)) {
            output.append(at == 0 ? "\"" : ",\"")
            Self.appendID("p-", random.below(productCount), to: output)
            output.append(byte: 0x22)
        }
        output.append("]}")
    }

    /// City and state beside a whole address.
    static func appendAddress(
        _ city: GeneratorCity,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        output.append("\"city\":\"")
        output.append(city.name)
        output.append("\",\"state\":\"")
        output.append(city.state)
        output.append("\",\"address\":{\"street\":\"")
        output.append(decimal: 1 + random.below(4_000))
        output.append(byte: 0x20)
        output.append(random.pick(Words.streets))
        output.append("\",\"city\":\"")
        output.append(city.name)
        output.append("\",\"state\":\"")
        output.append(city.state)
        output.append("\",\"postal_code\":\"")
        output.append(decimal: 1_000 + random.below(98_000), width: 5)
        output.append("\",\"country\":\"US\"}")
    }

    private static let days: [StaticString] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// Opening hours in the normal form; some stores have a break, some close on Sundays.
    private static func appendHours(
        _ city: GeneratorCity,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        output.append("{\"timezone\":\"")
        output.append(city.timezone)
        output.append("\",\"weekly\":{")
        let opens = 6 + random.below(5)
        let closes = 18 + random.below(5)
        let half = random.chance(30)
        let hasBreak = random.chance(15)
        let isOpenOnSunday = random.chance(80)
        for (at, day) in days.enumerated() {
            output.append(at == 0 ? "\"" : ",\"")
            output.append(day)
            output.append("\":[")
            if at < 6 || isOpenOnSunday {
                let start = opens + (at == 6 ? 2 : 0)
                let end = closes - (at >= 5 ? 1 : 0)
                if hasBreak, at < 5 {
                    appendSpan(start * 60, 13 * 60, to: output)
                    output.append(byte: 0x2C)
                    appendSpan(14 * 60, end * 60, to: output)
                } else {
                    appendSpan(start * 60, end * 60 + (half ? 30 : 0), to: output)
                }
            }
            output.append(byte: 0x5D)
        }
        output.append("}}")
    }

    private static func appendSpan(_ start: Int, _ end: Int, to output: ByteQueue) {
        output.append("[\"")
        output.append(decimal: start / 60, width: 2)
        output.append(byte: 0x3A)
        output.append(decimal: start % 60, width: 2)
        output.append("\",\"")
        output.append(decimal: end / 60, width: 2)
        output.append(byte: 0x3A)
        output.append(decimal: end % 60, width: 2)
        output.append("\"]")
    }

    private static func appendServices(_ random: inout GeneratorRandom, to output: ByteQueue) {
        output.append(",\"services\":[")
        let chosen = random.next() & random.next()
        var isFirst = true
        for (at, service) in Words.services.enumerated() where chosen >> UInt64(at) & 1 == 1 {
            output.append(isFirst ? "\"" : ",\"")
            output.append(service)
            output.append(byte: 0x22)
            isFirst = false
        }
        output.append(byte: 0x5D)
    }
}
