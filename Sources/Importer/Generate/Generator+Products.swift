import Client

extension Generator {
    /// One product in a fixed order of members.
    static func appendProduct(
        _ index: Int,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        let categoryIndex = random.below(GeneratorCategory.all.count)
        let category = GeneratorCategory.all[categoryIndex]
        let nounIndex = random.below(category.nouns.count)
        let noun = category.nouns[nounIndex]
        let brand = random.pick(category.brands)
        let color = random.pick(Words.colors)
        let adjective = random.pick(Words.adjectives)
        output.append("{\"id\":\"")
        appendID("p-", index, to: output)
        output.append("\",\"sku\":\"")
        output.append(category.code)
        output.append(byte: 0x2D)
        output.append(decimal: index + 1, width: 7)
        output.append(byte: 0x2D)
        output.append(decimal: random.below(1_000), width: 3)
        output.append("\",\"name\":\"")
        appendName(brand, adjective, noun, color, &random, to: output)
        output.append("\",\"description\":\"")
        appendDescription(adjective, noun, category, &random, to: output)
        output.append("\",\"category\":\"")
        output.append(category.name)
        output.append("\",\"subcategory\":\"")
        output.append(category.subcategories[nounIndex % category.subcategories.count])
        output.append("\",\"brand\":\"")
        output.append(brand)
        appendPrices(category, &random, to: output)
        appendFigures(&random, to: output)
        appendTags(category, &random, to: output)
        output.append(",\"color\":\"")
        output.append(color)
        output.append("\",\"attributes\":{")
        appendAttributes(&random, to: output)
        let created = random.below(dayCount)
        output.append("},\"created_at\":\"")
        appendTime(days: firstDay + created, seconds: random.below(86_400), to: output)
        output.append("\",\"released\":\"")
        appendDate(firstDay + created - random.below(60), to: output)
        output.append("\"}")
    }

    private static func appendName(
        _ brand: StaticString,
        _ adjective: StaticString,
        _ noun: StaticString,
        _ color: StaticString,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        let template = random.below(4)
        output.append(brand)
        output.append(byte: 0x20)
        if template != 1 {
            output.append(adjective)
            output.append(byte: 0x20)
        }
        output.append(noun)
        if template != 2 {
            output.append(byte: 0x20)
            output.append(random.pick(Words.series))
            output.append(byte: 0x20)
            output.append(decimal: (1 + random.below(99)) * 10)
        }
        if template != 3 {
            output.append(template == 2 ? " in " : ", ")
            output.append(color)
        }
    }

    /// Sentences until there are 20 to 60 words.
    private static func appendDescription(
        _ adjective: StaticString,
        _ noun: StaticString,
        _ category: GeneratorCategory,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        output.append(random.pick(Words.openers))
        output.append(byte: 0x20)
        output.append(adjective)
        output.append(byte: 0x20)
        output.append(noun)
        output.append(" with ")
        output.append(random.pick(category.features))
        output.append(byte: 0x2E)
        // An opening has 10 to 17 words, and each further sentence 7 to 11.
        for _ in 0..<(1 + random.below(3)) {
            output.append(byte: 0x20)
            if random.chance(40) {
                output.append(random.pick(Words.joints))
                output.append(byte: 0x20)
                output.append(random.pick(category.features))
                output.append(byte: 0x2E)
            } else {
                output.append(random.pick(Words.sentences))
            }
        }
    }

    private static func appendPrices(
        _ category: GeneratorCategory,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        let raw = random.logNormal(median: category.medianCents, sigma: category.sigma)
        let units = max(Int(raw) / 100, 1)
        let cents =
            switch random.below(10) {
            case 0...5: units * 100 - 1
            case 6: units * 100 - 51
            case 7: units * 100 - 5
            case 8: units * 100
            default: units * 100 + random.below(100)
            }
        let list = random.chance(60) ? cents : cents + cents * (5 + random.below(56)) / 100
        output.append("\",\"price\":")
        appendMoney(cents, to: output)
        output.append(",\"list_price\":")
        appendMoney(list, to: output)
        output.append(",\"currency\":\"USD\"")
    }

    /// Rating, reviews, stock and whether it is on sale.
    private static func appendFigures(_ random: inout GeneratorRandom, to output: ByteQueue) {
        // The best of two draws, so that good ratings are the usual ones.
        let tenths = 10 + max(random.below(41), random.below(41))
        output.append(",\"rating\":")
        output.append(decimal: tenths / 10)
        output.append(byte: 0x2E)
        output.append(decimal: tenths % 10)
        output.append(",\"review_count\":")
        // A Zipf-like tail: one product in a thousand has thousands of reviews.
        output.append(decimal: Int(4 / (random.unit() + 0.000_02)) - 3)
        output.append(",\"stock\":")
        output.append(decimal: random.chance(12) ? 0 : random.below(20) * random.below(26))
        output.append(random.chance(94) ? ",\"is_active\":true" : ",\"is_active\":false")
    }

    /// Up to six different tags, most of them of the category.
    private static func appendTags(
        _ category: GeneratorCategory,
        _ random: inout GeneratorRandom,
        to output: ByteQueue
    ) {
        output.append(",\"tags\":[")
        let common = GeneratorCategory.commonTags
        var own: UInt64 = 0
        var shared: UInt64 = 0
        var isFirst = true
        for _ in 0..<random.below(7) {
            let isOwn = random.chance(65)
            let at = random.below(isOwn ? category.tags.count : common.count)
            guard (isOwn ? own : shared) & 1 << UInt64(at) == 0 else { continue }
            if isOwn { own |= 1 << UInt64(at) } else { shared |= 1 << UInt64(at) }
            output.append(isFirst ? "\"" : ",\"")
            output.append(isOwn ? category.tags[at] : common[at])
            output.append(byte: 0x22)
            isFirst = false
        }
        output.append(byte: 0x5D)
    }

    private static func appendAttributes(_ random: inout GeneratorRandom, to output: ByteQueue) {
        output.append("\"size\":\"")
        output.append(random.pick(Words.sizes))
        output.append("\",\"material\":\"")
        output.append(random.pick(Words.materials))
        output.append("\",\"weight_g\":")
        output.append(decimal: 20 + random.below(60) * random.below(90))
        if random.chance(50) {
            output.append(",\"warranty_months\":")
            output.append(decimal: 12 * (1 + random.below(5)))
        }
        if random.chance(30) {
            output.append(",\"origin\":\"")
            output.append(random.pick(Words.origins))
            output.append(byte: 0x22)
        }
    }
}

/// Words that any category may use.
enum Words {
    static let colors: [StaticString] = [
        "Black", "White", "Silver", "Graphite", "Navy", "Sky Blue", "Forest Green", "Olive",
        "Burgundy", "Red", "Coral", "Mustard", "Sand", "Cream", "Walnut", "Lavender",
    ]
    static let adjectives: [StaticString] = [
        "Classic", "Compact", "Premium", "Everyday", "Essential", "Signature", "Lightweight",
        "Modern", "Vintage", "Deluxe", "Studio", "Urban", "Pure", "Original", "Advanced", "Mini",
        "Grand", "Heritage", "Eco", "Pro",
    ]
    static let series: [StaticString] = [
        "Series", "Model", "No.", "Edition", "Line", "Mark", "Type", "Range",
    ]
    static let sizes: [StaticString] = ["XS", "S", "M", "L", "XL", "XXL", "one size"]
    static let materials: [StaticString] = [
        "cotton", "steel", "aluminium", "oak", "bamboo", "glass", "leather", "polyester",
        "ceramic", "rubber", "paper", "wool",
    ]
    static let origins: [StaticString] = [
        "US", "DE", "IT", "PT", "JP", "VN", "IN", "MX", "CA", "PL",
    ]
    static let openers: [StaticString] = [
        "Meet the new favourite of the house: the",
        "Made for daily use and long trips, this is the",
        "From our own workshop comes the", "Small on the shelf, large in use: the",
        "Designed together with people who use it every day, the",
        "For everyone who has waited for it, here is the",
        "Simple to look at and hard to put down: the", "Our customers asked and we built the",
    ]
    static let joints: [StaticString] = [
        "It also comes with", "You will like", "Look forward to", "What sets it apart is",
        "On top of that there is", "Reviewers keep mentioning",
    ]
    static let sentences: [StaticString] = [
        "It arrives in a box that can be recycled.",
        "A good gift for friends, parents and for yourself.",
        "Spare parts can be ordered for at least ten years.",
        "Thousands of customers have bought it for the second time.",
        "The instructions are short and come in six languages.",
        "Send it back within thirty days if it disappoints.",
        "It goes well with everything else of this series.",
        "Clean it with a damp cloth and let it dry.",
        "Each piece is checked by hand before it leaves us.",
        "It takes little room when it is put away.",
        "Colours may differ a little from those on the screen.",
        "Two years of warranty are part of the price.",
        "Tested by an independent laboratory and by our own children.",
        "Orders before noon leave our warehouse on the same day.",
    ]
    static let streets: [StaticString] = [
        "Main Street", "Oak Avenue", "Market Street", "Park Road", "Maple Drive", "2nd Avenue",
        "Mill Road", "Broadway", "Lake Street", "Cedar Lane", "Elm Street", "Hill Road",
        "Washington Boulevard", "River Road", "Sunset Boulevard", "Church Street",
    ]
    static let storeBrands: [StaticString] = [
        "Aisle & Co", "Harvest Lane", "Brightmart", "Corner Depot", "Northgate", "Daily Goods",
        "Parkside", "Homeward",
    ]
    static let storeTypes: [StaticString] = [
        "supermarket", "flagship", "express", "outlet", "pickup point", "warehouse",
    ]
    static let services: [StaticString] = [
        "pickup", "returns", "delivery", "gift wrapping", "repairs", "pharmacy", "parking",
        "wheelchair access", "photo prints", "key cutting", "coffee bar", "ev charging",
    ]
    static let statuses: [StaticString] = [
        "pending", "paid", "shipped", "delivered", "delivered", "delivered", "returned",
        "cancelled",
    ]
    static let eventTypes: [StaticString] = [
        "view", "view", "view", "view", "view", "search", "add_to_cart", "add_to_cart",
        "remove_from_cart", "checkout", "purchase",
    ]
    static let devices: [StaticString] = ["mobile", "mobile", "desktop", "tablet", "app"]
}
