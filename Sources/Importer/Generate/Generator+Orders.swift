import Client

extension Generator {
    /// One order of one to five products.
    func appendOrder(_ index: Int, _ random: inout GeneratorRandom, to output: ByteQueue) {
        output.append("{\"id\":\"")
        Self.appendID("o-", index, to: output)
        output.append("\",\"customer_id\":\"")
        Self.appendID("c-", random.below(max(productCount / 4, 1)), to: output)
        output.append("\",\"status\":\"")
        output.append(random.pick(Words.statuses))
        if random.chance(30) {
            output.append("\",\"store_id\":\"")
            Self.appendID("s-", random.below(5_000), to: output)
        }
        output.append("\",\"items\":[")
        var total = 0
        for at in 0..<(1 + min(random.below(5), random.below(5))) {
            let quantity = 1 + min(random.below(4), random.below(4))
            let cents = Int(random.logNormal(median: 2_900, sigma: 0.8)) + 99
            total += quantity * cents
            output.append(at == 0 ? "{\"product_id\":\"" : ",{\"product_id\":\"")
            Self.appendID("p-", popularProduct(&random), to: output)
            output.append("\",\"quantity\":")
            output.append(decimal: quantity)
            output.append(",\"price\":")
            Self.appendMoney(cents, to: output)
            output.append(byte: 0x7D)
        }
        output.append("],\"total\":")
        Self.appendMoney(total, to: output)
        output.append(",\"currency\":\"USD\",\"shipping\":{")
        let city = GeneratorCity.all[random.below(GeneratorCity.all.count)]
        Self.appendAddress(city, &random, to: output)
        output.append("},\"created_at\":\"")
        let day = Self.firstDay + random.below(Self.dayCount)
        Self.appendTime(days: day, seconds: random.below(86_400), to: output)
        output.append("\"}")
    }

    /// One thing that a visitor did; events of neighbouring numbers belong to one session.
    func appendEvent(_ index: Int, _ random: inout GeneratorRandom, to output: ByteQueue) {
        let session = index / 8
        var shared = GeneratorRandom(seed: seed &+ 4 << 40, index: UInt64(session))
        let user = shared.below(max(productCount / 4, 1))
        let day = Self.firstDay + shared.below(Self.dayCount)
        let second = shared.below(80_000) + (index % 8) * 60 + random.below(60)
        let type = random.pick(Words.eventTypes)
        output.append("{\"id\":\"")
        Self.appendID("e-", index, to: output)
        output.append("\",\"type\":\"")
        output.append(type)
        output.append("\",\"user_id\":\"")
        Self.appendID("c-", user, to: output)
        output.append("\",\"session_id\":\"")
        Self.appendID("v-", session, to: output)
        output.append("\",\"product_id\":\"")
        Self.appendID("p-", popularProduct(&random), to: output)
        output.append("\",\"device\":\"")
        output.append(shared.pick(Words.devices))
        output.append("\",\"value\":")
        Self.appendMoney(Int(random.logNormal(median: 2_900, sigma: 0.8)), to: output)
        output.append(",\"at\":\"")
        Self.appendTime(days: day, seconds: second, to: output)
        output.append("\"}")
    }

    /// A product; a few are asked for much more often than the rest.
    private func popularProduct(_ random: inout GeneratorRandom) -> Int {
        let unit = random.unit()
        return min(Int(unit * unit * unit * Double(productCount)), productCount - 1)
    }
}
