/// A town with the position of its middle.
struct GeneratorCity: Sendable {
    let name: String
    let state: String
    /// Degrees × 10,000.
    let latitude: Int
    let longitude: Int
    let timezone: String
}

extension GeneratorCity {
    /// About 200 towns of the United States, in a fixed order.
    static let all: [GeneratorCity] = lines.map { line in
        let parts = line.split(separator: "|").map(String.init)
        precondition(parts.count == 5, "a town has five parts")
        return GeneratorCity(
            name: parts[0],
            state: parts[1],
            latitude: degrees(parts[2]),
            longitude: degrees(parts[3]),
            timezone: zones[parts[4]] ?? "America/New_York"
        )
    }

    private static func degrees(_ text: String) -> Int {
        let parts = text.split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        let padded = fraction + String(repeating: "0", count: max(4 - fraction.count, 0))
        let whole = Int(parts[0]) ?? 0
        let magnitude = abs(whole) * 10_000 + (Int(padded) ?? 0)
        return text.hasPrefix("-") ? -magnitude : magnitude
    }

    private static let zones = [
        "E": "America/New_York", "C": "America/Chicago", "M": "America/Denver",
        "P": "America/Los_Angeles", "Z": "America/Phoenix", "A": "America/Anchorage",
        "H": "Pacific/Honolulu",
    ]

    private static let lines: [Substring] = """
        New York|NY|40.7128|-74.0060|E
        Los Angeles|CA|34.0522|-118.2437|P
        Chicago|IL|41.8781|-87.6298|C
        Houston|TX|29.7604|-95.3698|C
        Phoenix|AZ|33.4484|-112.0740|Z
        Philadelphia|PA|39.9526|-75.1652|E
        San Antonio|TX|29.4241|-98.4936|C
        San Diego|CA|32.7157|-117.1611|P
        Dallas|TX|32.7767|-96.7970|C
        San Jose|CA|37.3382|-121.8863|P
        Austin|TX|30.2672|-97.7431|C
        Jacksonville|FL|30.3322|-81.6557|E
        Fort Worth|TX|32.7555|-97.3308|C
        Columbus|OH|39.9612|-82.9988|E
        Indianapolis|IN|39.7684|-86.1581|E
        Charlotte|NC|35.2271|-80.8431|E
        San Francisco|CA|37.7749|-122.4194|P
        Seattle|WA|47.6062|-122.3321|P
        Denver|CO|39.7392|-104.9903|M
        Washington|DC|38.9072|-77.0369|E
        Nashville|TN|36.1627|-86.7816|C
        Oklahoma City|OK|35.4676|-97.5164|C
        El Paso|TX|31.7619|-106.4850|M
        Boston|MA|42.3601|-71.0589|E
        Portland|OR|45.5152|-122.6784|P
        Las Vegas|NV|36.1699|-115.1398|P
        Detroit|MI|42.3314|-83.0458|E
        Memphis|TN|35.1495|-90.0490|C
        Louisville|KY|38.2527|-85.7585|E
        Baltimore|MD|39.2904|-76.6122|E
        Milwaukee|WI|43.0389|-87.9065|C
        Albuquerque|NM|35.0844|-106.6504|M
        Tucson|AZ|32.2226|-110.9747|Z
        Fresno|CA|36.7378|-119.7871|P
        Sacramento|CA|38.5816|-121.4944|P
        Kansas City|MO|39.0997|-94.5786|C
        Mesa|AZ|33.4152|-111.8315|Z
        Atlanta|GA|33.7490|-84.3880|E
        Omaha|NE|41.2565|-95.9345|C
        Colorado Springs|CO|38.8339|-104.8214|M
        Raleigh|NC|35.7796|-78.6382|E
        Long Beach|CA|33.7701|-118.1937|P
        Virginia Beach|VA|36.8529|-75.9780|E
        Miami|FL|25.7617|-80.1918|E
        Oakland|CA|37.8044|-122.2712|P
        Minneapolis|MN|44.9778|-93.2650|C
        Tulsa|OK|36.1540|-95.9928|C
        Bakersfield|CA|35.3733|-119.0187|P
        Wichita|KS|37.6872|-97.3301|C
        Arlington|TX|32.7357|-97.1081|C
        Aurora|CO|39.7294|-104.8319|M
        Tampa|FL|27.9506|-82.4572|E
        New Orleans|LA|29.9511|-90.0715|C
        Cleveland|OH|41.4993|-81.6944|E
        Honolulu|HI|21.3069|-157.8583|H
        Anaheim|CA|33.8366|-117.9143|P
        Lexington|KY|38.0406|-84.5037|E
        Stockton|CA|37.9577|-121.2908|P
        Corpus Christi|TX|27.8006|-97.3964|C
        Henderson|NV|36.0395|-114.9817|P
        Riverside|CA|33.9806|-117.3755|P
        Newark|NJ|40.7357|-74.1724|E
        Saint Paul|MN|44.9537|-93.0900|C
        Santa Ana|CA|33.7455|-117.8677|P
        Cincinnati|OH|39.1031|-84.5120|E
        Irvine|CA|33.6846|-117.8265|P
        Orlando|FL|28.5383|-81.3792|E
        Pittsburgh|PA|40.4406|-79.9959|E
        St. Louis|MO|38.6270|-90.1994|C
        Greensboro|NC|36.0726|-79.7920|E
        Jersey City|NJ|40.7178|-74.0431|E
        Anchorage|AK|61.2181|-149.9003|A
        Lincoln|NE|40.8136|-96.7026|C
        Plano|TX|33.0198|-96.6989|C
        Durham|NC|35.9940|-78.8986|E
        Buffalo|NY|42.8864|-78.8784|E
        Chandler|AZ|33.3062|-111.8413|Z
        Chula Vista|CA|32.6401|-117.0842|P
        Toledo|OH|41.6528|-83.5379|E
        Madison|WI|43.0731|-89.4012|C
        Gilbert|AZ|33.3528|-111.7890|Z
        Reno|NV|39.5296|-119.8138|P
        Fort Wayne|IN|41.0793|-85.1394|E
        North Las Vegas|NV|36.1989|-115.1175|P
        St. Petersburg|FL|27.7676|-82.6403|E
        Lubbock|TX|33.5779|-101.8552|C
        Irving|TX|32.8140|-96.9489|C
        Laredo|TX|27.5036|-99.5076|C
        Winston-Salem|NC|36.0999|-80.2442|E
        Chesapeake|VA|36.7682|-76.2875|E
        Glendale|AZ|33.5387|-112.1860|Z
        Garland|TX|32.9126|-96.6389|C
        Scottsdale|AZ|33.4942|-111.9261|Z
        Norfolk|VA|36.8508|-76.2859|E
        Boise|ID|43.6150|-116.2023|M
        Fremont|CA|37.5485|-121.9886|P
        Spokane|WA|47.6588|-117.4260|P
        Richmond|VA|37.5407|-77.4360|E
        Baton Rouge|LA|30.4515|-91.1871|C
        San Bernardino|CA|34.1083|-117.2898|P
        Tacoma|WA|47.2529|-122.4443|P
        Modesto|CA|37.6391|-120.9969|P
        Huntsville|AL|34.7304|-86.5861|C
        Des Moines|IA|41.5868|-93.6250|C
        Yonkers|NY|40.9312|-73.8988|E
        Rochester|NY|43.1566|-77.6088|E
        Moreno Valley|CA|33.9425|-117.2297|P
        Fayetteville|NC|35.0527|-78.8784|E
        Fontana|CA|34.0922|-117.4350|P
        Columbus|GA|32.4610|-84.9877|E
        Worcester|MA|42.2626|-71.8023|E
        Port St. Lucie|FL|27.2730|-80.3582|E
        Little Rock|AR|34.7465|-92.2896|C
        Augusta|GA|33.4735|-82.0105|E
        Oxnard|CA|34.1975|-119.1771|P
        Birmingham|AL|33.5186|-86.8104|C
        Montgomery|AL|32.3792|-86.3077|C
        Frisco|TX|33.1507|-96.8236|C
        Amarillo|TX|35.2220|-101.8313|C
        Salt Lake City|UT|40.7608|-111.8910|M
        Grand Rapids|MI|42.9634|-85.6681|E
        Huntington Beach|CA|33.6595|-117.9988|P
        Overland Park|KS|38.9822|-94.6708|C
        Glendale|CA|34.1425|-118.2551|P
        Tallahassee|FL|30.4383|-84.2807|E
        Grand Prairie|TX|32.7460|-96.9978|C
        McKinney|TX|33.1972|-96.6398|C
        Cape Coral|FL|26.5629|-81.9495|E
        Sioux Falls|SD|43.5446|-96.7311|C
        Peoria|AZ|33.5806|-112.2374|Z
        Providence|RI|41.8240|-71.4128|E
        Vancouver|WA|45.6387|-122.6615|P
        Knoxville|TN|35.9606|-83.9207|E
        Akron|OH|41.0814|-81.5190|E
        Shreveport|LA|32.5252|-93.7502|C
        Mobile|AL|30.6954|-88.0399|C
        Brownsville|TX|25.9017|-97.4975|C
        Newport News|VA|37.0871|-76.4730|E
        Fort Lauderdale|FL|26.1224|-80.1373|E
        Chattanooga|TN|35.0456|-85.3097|E
        Tempe|AZ|33.4255|-111.9400|Z
        Aurora|IL|41.7606|-88.3201|C
        Santa Rosa|CA|38.4404|-122.7141|P
        Eugene|OR|44.0521|-123.0868|P
        Elk Grove|CA|38.4088|-121.3716|P
        Salem|OR|44.9429|-123.0351|P
        Ontario|CA|34.0633|-117.6509|P
        Cary|NC|35.7915|-78.7811|E
        Rancho Cucamonga|CA|34.1064|-117.5931|P
        Oceanside|CA|33.1959|-117.3795|P
        Lancaster|CA|34.6868|-118.1542|P
        Garden Grove|CA|33.7743|-117.9380|P
        Pembroke Pines|FL|26.0078|-80.2963|E
        Fort Collins|CO|40.5853|-105.0844|M
        Palmdale|CA|34.5794|-118.1165|P
        Springfield|MO|37.2090|-93.2923|C
        Clarksville|TN|36.5298|-87.3595|C
        Salinas|CA|36.6777|-121.6555|P
        Hayward|CA|37.6688|-122.0808|P
        Paterson|NJ|40.9168|-74.1718|E
        Alexandria|VA|38.8048|-77.0469|E
        Macon|GA|32.8407|-83.6324|E
        Corona|CA|33.8753|-117.5664|P
        Lakewood|CO|39.7047|-105.0814|M
        Springfield|MA|42.1015|-72.5898|E
        Sunnyvale|CA|37.3688|-122.0363|P
        Jackson|MS|32.2988|-90.1848|C
        Killeen|TX|31.1171|-97.7278|C
        Hollywood|FL|26.0112|-80.1495|E
        Murfreesboro|TN|35.8456|-86.3903|C
        Pasadena|TX|29.6911|-95.2091|C
        Bellevue|WA|47.6101|-122.2015|P
        Pomona|CA|34.0551|-117.7500|P
        Escondido|CA|33.1192|-117.0864|P
        Joliet|IL|41.5250|-88.0817|C
        Charleston|SC|32.7765|-79.9311|E
        Mesquite|TX|32.7668|-96.5992|C
        Naperville|IL|41.7508|-88.1535|C
        Rockford|IL|42.2711|-89.0940|C
        Bridgeport|CT|41.1792|-73.1894|E
        Syracuse|NY|43.0481|-76.1474|E
        Savannah|GA|32.0809|-81.0912|E
        Roseville|CA|38.7521|-121.2880|P
        Torrance|CA|33.8358|-118.3406|P
        Fullerton|CA|33.8704|-117.9242|P
        Surprise|AZ|33.6292|-112.3679|Z
        McAllen|TX|26.2034|-98.2300|C
        Thornton|CO|39.8680|-104.9719|M
        Visalia|CA|36.3302|-119.2921|P
        Olathe|KS|38.8814|-94.8191|C
        Gainesville|FL|29.6516|-82.3248|E
        West Valley City|UT|40.6916|-112.0011|M
        Orange|CA|33.7879|-117.8531|P
        Denton|TX|33.2148|-97.1331|C
        Warren|MI|42.5145|-83.0147|E
        Pasadena|CA|34.1478|-118.1445|P
        Waco|TX|31.5493|-97.1467|C
        Cedar Rapids|IA|41.9779|-91.6656|C
        Dayton|OH|39.7589|-84.1916|E
        Hampton|VA|37.0299|-76.3452|E
        Columbia|SC|34.0007|-81.0348|E
        Manchester|NH|42.9956|-71.4548|E
        Burlington|VT|44.4759|-73.2121|E
        Portland|ME|43.6591|-70.2568|E
        Billings|MT|45.7833|-108.5007|M
        Cheyenne|WY|41.1400|-104.8202|M
        Fargo|ND|46.8772|-96.7898|C
        Charleston|WV|38.3498|-81.6326|E
        Wilmington|DE|39.7391|-75.5398|E
        Hartford|CT|41.7658|-72.6734|E
        """.split(separator: "\n")
}
