/// The words of one made-up category of products.
struct GeneratorCategory: Sendable {
    let name: StaticString
    /// Two letters that begin the category's SKUs.
    let code: StaticString
    /// Median price in cents.
    let medianCents: Double
    /// Deviation of the price's logarithm.
    let sigma: Double
    let subcategories: [StaticString]
    /// Each belongs to the subcategory of its index modulo their number.
    let nouns: [StaticString]
    let brands: [StaticString]
    let tags: [StaticString]
    /// Ends of sentences.
    let features: [StaticString]
}

extension GeneratorCategory {
    /// Every category, in a fixed order: the order is part of what a seed means.
    static let all: [GeneratorCategory] = first + second

    private static let first: [GeneratorCategory] = [
        GeneratorCategory(
            name: "Electronics",
            code: "EL",
            medianCents: 8900,
            sigma: 0.9,
            subcategories: [
                "Headphones", "Cameras", "Televisions", "Speakers", "Wearables",
            ],
            nouns: [
                "Headphones", "Earbuds", "Camera", "Smart TV", "Bluetooth Speaker", "Smartwatch",
                "Soundbar", "Action Camera", "Portable Projector", "E-Reader",
            ],
            brands: [
                "Auralis", "Voltek", "Nimbo", "Sonara", "Pixelight", "Kestrel", "Orbita",
                "Lumen",
            ],
            tags: [
                "wireless", "bluetooth", "noise-cancelling", "4k", "usb-c", "rechargeable",
                "smart-home", "hd-audio", "voice-control", "portable", "waterproof",
                "fast-charging",
            ],
            features: [
                "active noise cancellation that adapts to the room",
                "a battery that lasts up to forty hours",
                "a bright display readable in sunlight", "fast pairing with phones and laptops",
                "three microphones for clear calls", "a low latency mode for games",
            ]
        ),
        GeneratorCategory(
            name: "Computers",
            code: "CO",
            medianCents: 31900,
            sigma: 0.8,
            subcategories: [
                "Laptops", "Monitors", "Storage", "Keyboards", "Networking",
            ],
            nouns: [
                "Laptop", "Monitor", "Solid State Drive", "Mechanical Keyboard", "Router",
                "Mouse", "Docking Station", "Graphics Tablet", "Desktop PC", "Webcam",
            ],
            brands: [
                "Bytewell", "Corewave", "Nimbo", "Quantis", "Helion", "Driftkey", "Netvale",
                "Stackline",
            ],
            tags: [
                "ssd", "gaming", "ultrawide", "rgb", "ergonomic", "wifi-6", "thunderbolt",
                "lightweight", "hot-swappable", "office", "144hz", "backlit",
            ],
            features: [
                "a quiet cooling system with two fans",
                "keys that are rated for eighty million strokes",
                "sequential reads of seven gigabytes a second",
                "an aluminium body milled from one block", "ports for every cable on the desk",
                "a panel with full colour coverage",
            ]
        ),
        GeneratorCategory(
            name: "Home & Kitchen",
            code: "HK",
            medianCents: 3900,
            sigma: 0.8,
            subcategories: [
                "Cookware", "Small Appliances", "Bedding", "Storage", "Lighting",
            ],
            nouns: [
                "Frying Pan", "Blender", "Duvet Cover", "Storage Basket", "Table Lamp", "Kettle",
                "Knife Set", "Toaster", "Coffee Maker", "Throw Pillow",
            ],
            brands: [
                "Hearthside", "Copperleaf", "Linden", "Mornby", "Oakmere", "Brightwell",
                "Tidyhome", "Saffron",
            ],
            tags: [
                "dishwasher-safe", "non-stick", "stainless-steel", "cotton", "space-saving",
                "induction", "bpa-free", "energy-saving", "scandinavian", "machine-washable",
                "dimmable", "handmade",
            ],
            features: [
                "a base that heats evenly on every hob", "a handle that stays cool",
                "fabric that gets softer with every wash", "parts that go into the dishwasher",
                "a timer with twelve programmes", "a finish that resists scratches",
            ]
        ),
        GeneratorCategory(
            name: "Clothing",
            code: "CL",
            medianCents: 3400,
            sigma: 0.6,
            subcategories: [
                "Shirts", "Trousers", "Dresses", "Outerwear", "Underwear",
            ],
            nouns: [
                "T-Shirt", "Chinos", "Summer Dress", "Rain Jacket", "Hoodie", "Oxford Shirt",
                "Jeans", "Cardigan", "Parka", "Leggings",
            ],
            brands: [
                "Northfold", "Marisol", "Threadwell", "Ashby", "Cinder & Co", "Velour",
                "Lakeside", "Fennimore",
            ],
            tags: [
                "organic-cotton", "slim-fit", "relaxed-fit", "linen", "merino", "stretch",
                "waterproof", "recycled", "plus-size", "vegan", "petite", "quick-dry",
            ],
            features: [
                "seams that are sewn twice", "a cut that leaves room to move",
                "pockets deep enough for a phone", "cotton from certified farms",
                "buttons made of natural shell", "a lining that breathes",
            ]
        ),
        GeneratorCategory(
            name: "Shoes",
            code: "SH",
            medianCents: 7400,
            sigma: 0.5,
            subcategories: [
                "Running", "Boots", "Sandals", "Sneakers", "Formal",
            ],
            nouns: [
                "Running Shoes", "Hiking Boots", "Sandals", "Sneakers", "Loafers", "Trail Shoes",
                "Chelsea Boots", "Slippers", "Oxfords", "Espadrilles",
            ],
            brands: [
                "Stridewell", "Terrano", "Pacer", "Ashby", "Solemate", "Cloudstep", "Brogan",
                "Ridgeline",
            ],
            tags: [
                "leather", "vegan", "waterproof", "wide-fit", "breathable", "cushioned",
                "non-slip", "lightweight", "trail", "orthopaedic", "recycled", "slip-on",
            ],
            features: [
                "a sole that grips on wet stone", "foam that gives energy back",
                "an upper knitted in one piece", "a footbed shaped like a foot",
                "laces that stay tied", "leather that ages well",
            ]
        ),
        GeneratorCategory(
            name: "Beauty",
            code: "BE",
            medianCents: 1900,
            sigma: 0.7,
            subcategories: [
                "Skin Care", "Hair Care", "Make-up", "Fragrance", "Tools",
            ],
            nouns: [
                "Face Serum", "Shampoo", "Lipstick", "Eau de Parfum", "Hair Dryer",
                "Moisturiser", "Mascara", "Body Lotion", "Face Mask", "Beard Oil",
            ],
            brands: [
                "Aurelle", "Botanica", "Glowhaus", "Petal & Rye", "Mirelle", "Sólana", "Verdane",
                "Nectar",
            ],
            tags: [
                "vegan", "cruelty-free", "fragrance-free", "spf", "hyaluronic-acid",
                "sensitive-skin", "travel-size", "refillable", "natural", "dermatologist-tested",
                "long-lasting", "anti-frizz",
            ],
            features: [
                "a light texture that sinks in at once", "oils pressed from organic seeds",
                "a scent of bergamot and cedar", "pigments that last from morning to night",
                "no mineral oil and no silicone", "a refill that saves packaging",
            ]
        ),
        GeneratorCategory(
            name: "Sports & Outdoors",
            code: "SP",
            medianCents: 5200,
            sigma: 0.8,
            subcategories: [
                "Camping", "Cycling", "Fitness", "Climbing", "Water Sports",
            ],
            nouns: [
                "Tent", "Bike Helmet", "Yoga Mat", "Climbing Harness", "Kayak Paddle",
                "Backpack", "Sleeping Bag", "Dumbbell Set", "Headlamp", "Water Bottle",
            ],
            brands: [
                "Ridgeline", "Terrano", "Summitry", "Velocross", "Tidewater", "Ironbark",
                "Campward", "Pacer",
            ],
            tags: [
                "ultralight", "waterproof", "insulated", "foldable", "two-person", "reflective",
                "non-slip", "bpa-free", "beginner", "all-season", "mips", "adjustable",
            ],
            features: [
                "poles that find their place by themselves", "straps that adjust in seconds",
                "a shell tested in alpine storms", "padding where it matters",
                "fabric with taped seams", "a weight that nobody notices",
            ]
        ),
        GeneratorCategory(
            name: "Toys & Games",
            code: "TO",
            medianCents: 2600,
            sigma: 0.7,
            subcategories: [
                "Board Games", "Building Sets", "Puzzles", "Dolls", "Outdoor Play",
            ],
            nouns: [
                "Board Game", "Building Set", "Jigsaw Puzzle", "Doll House", "Kite", "Card Game",
                "Train Set", "Plush Bear", "Science Kit", "Marble Run",
            ],
            brands: [
                "Puddlejump", "Brickaby", "Wonderloft", "Foxglove Games", "Tumble", "Merrymaker",
                "Little Oak", "Kitewind",
            ],
            tags: [
                "ages-3-plus", "ages-8-plus", "wooden", "educational", "family", "cooperative",
                "two-players", "travel-size", "stem", "award-winning", "creative",
                "battery-free",
            ],
            features: [
                "rules that fit on one page", "pieces cut from certified beech",
                "a story that changes with every game", "colours safe for small mouths",
                "a box that becomes the board", "hours of play without a screen",
            ]
        ),
    ]

    private static let second: [GeneratorCategory] = [
        GeneratorCategory(
            name: "Books",
            code: "BO",
            medianCents: 1600,
            sigma: 0.4,
            subcategories: [
                "Fiction", "Cooking", "Travel", "Children", "Science",
            ],
            nouns: [
                "Novel", "Cookbook", "Travel Guide", "Picture Book", "Field Guide",
                "Short Stories", "Memoir", "Atlas", "Workbook", "Anthology",
            ],
            brands: [
                "Harbour Press", "Quillfeather", "Lanternlight", "Meridian Books", "Paper Crane",
                "Old Mill", "Saltmarsh", "Ninth Street",
            ],
            tags: [
                "paperback", "hardcover", "illustrated", "book-club", "first-edition",
                "large-print", "signed", "young-adult", "series", "translated", "annotated",
                "award-winning",
            ],
            features: [
                "a voice that stays after the last page", "more than eighty photographs",
                "maps drawn by hand", "recipes for every season", "a foreword by the translator",
                "chapters short enough for bedtime",
            ]
        ),
        GeneratorCategory(
            name: "Grocery",
            code: "GR",
            medianCents: 790,
            sigma: 0.6,
            subcategories: [
                "Coffee & Tea", "Snacks", "Pasta & Grains", "Spices", "Chocolate",
            ],
            nouns: [
                "Coffee Beans", "Trail Mix", "Spaghetti", "Smoked Paprika", "Dark Chocolate",
                "Green Tea", "Olive Oil", "Granola", "Honey", "Rice",
            ],
            brands: [
                "Copperleaf", "Hillfarm", "Saffron", "Golden Ear", "Cacaoverde", "Morning Mile",
                "Alba", "Beekeeper's",
            ],
            tags: [
                "organic", "fair-trade", "gluten-free", "vegan", "sugar-free", "single-origin",
                "whole-grain", "no-palm-oil", "kosher", "halal", "low-salt", "family-pack",
            ],
            features: [
                "beans roasted in small batches", "grain from a single valley",
                "no added sugar and no colouring", "an aroma of citrus and cocoa",
                "a jar that can be closed again", "farmers who are paid fairly",
            ]
        ),
        GeneratorCategory(
            name: "Pet Supplies",
            code: "PE",
            medianCents: 2100,
            sigma: 0.7,
            subcategories: [
                "Dogs", "Cats", "Birds", "Fish", "Small Animals",
            ],
            nouns: [
                "Dog Bed", "Cat Tree", "Bird Feeder", "Aquarium Filter", "Hamster Wheel",
                "Dog Leash", "Cat Litter", "Dog Food", "Scratching Post", "Pet Carrier",
            ],
            brands: [
                "Wagtail", "Purrfield", "Burrow", "Finch & Fern", "Aquora", "Goodboy",
                "Whiskerly", "Hazel",
            ],
            tags: [
                "grain-free", "washable", "chew-proof", "hypoallergenic", "small-breeds",
                "large-breeds", "kitten", "senior", "indoor", "reflective", "odour-control",
                "natural",
            ],
            features: [
                "a cover that comes off for washing", "recipes made with a vet",
                "sisal rope wound by hand", "a motor that fish do not hear",
                "clips that small hands can open", "room enough for two",
            ]
        ),
        GeneratorCategory(
            name: "Garden",
            code: "GA",
            medianCents: 4300,
            sigma: 0.8,
            subcategories: [
                "Plants", "Tools", "Furniture", "Watering", "Grills",
            ],
            nouns: [
                "Raised Bed", "Pruning Shears", "Garden Chair", "Hose Reel", "Charcoal Grill",
                "Planter", "Lawn Mower", "Wheelbarrow", "Parasol", "Compost Bin",
            ],
            brands: [
                "Greenholt", "Ironbark", "Oakmere", "Rainfall", "Emberly", "Rosehip",
                "Spade & Son", "Verdane",
            ],
            tags: [
                "weatherproof", "teak", "rust-free", "cordless", "foldable", "self-watering",
                "frost-proof", "galvanised", "uv-resistant", "heavy-duty", "compact", "solar",
            ],
            features: [
                "steel that is hardened and oiled", "wood from certified forests",
                "a blade that stays sharp", "a frame that stands on uneven ground",
                "seals that do not drip", "an ash tray that empties in one move",
            ]
        ),
        GeneratorCategory(
            name: "Tools & DIY",
            code: "TD",
            medianCents: 6100,
            sigma: 0.9,
            subcategories: [
                "Power Tools", "Hand Tools", "Paint", "Hardware", "Safety",
            ],
            nouns: [
                "Cordless Drill", "Hammer", "Wall Paint", "Screw Set", "Work Gloves",
                "Circular Saw", "Socket Set", "Spirit Level", "Sander", "Tool Box",
            ],
            brands: [
                "Ironbark", "Torquemaster", "Hammerfell", "Gritline", "Boltwright", "Steadfast",
                "Kerf", "Anvil & Ash",
            ],
            tags: [
                "18v", "brushless", "cordless", "titanium", "magnetic", "low-odour",
                "heavy-duty", "professional", "compact", "dust-free", "insulated", "precision",
            ],
            features: [
                "a brushless motor with two gears", "bits that are coated with titanium",
                "a grip that dampens vibration", "a case with a place for everything",
                "paint that covers in one coat", "a guard that closes by itself",
            ]
        ),
        GeneratorCategory(
            name: "Baby",
            code: "BA",
            medianCents: 3700,
            sigma: 0.8,
            subcategories: [
                "Strollers", "Nursing", "Nursery", "Car Seats", "Clothing",
            ],
            nouns: [
                "Stroller", "Baby Bottle", "Crib", "Car Seat", "Romper", "High Chair",
                "Baby Monitor", "Play Mat", "Diaper Bag", "Night Light",
            ],
            brands: [
                "Little Oak", "Lullaby", "Tumble", "Cradlewood", "Nestling", "Puddlejump",
                "Moonbeam", "Softstep",
            ],
            tags: [
                "bpa-free", "newborn", "foldable", "washable", "organic-cotton", "isofix",
                "adjustable", "hypoallergenic", "travel-system", "anti-colic", "unisex",
                "reversible",
            ],
            features: [
                "a fold that works with one hand", "covers that can be washed at sixty degrees",
                "rounded edges everywhere", "a night mode that wakes nobody",
                "straps with five points", "wood that is oiled and not painted",
            ]
        ),
        GeneratorCategory(
            name: "Office",
            code: "OF",
            medianCents: 2400,
            sigma: 0.8,
            subcategories: [
                "Paper", "Pens", "Chairs", "Desks", "Organisation",
            ],
            nouns: [
                "Notebook", "Fountain Pen", "Office Chair", "Standing Desk", "File Box",
                "Desk Lamp", "Whiteboard", "Planner", "Stapler", "Desk Pad",
            ],
            brands: [
                "Quillfeather", "Ergona", "Paper Crane", "Stackline", "Brightwell",
                "Inkwell & Co", "Upright", "Tidyhome",
            ],
            tags: [
                "ergonomic", "recycled", "a4", "a5", "height-adjustable", "refillable", "dotted",
                "lockable", "cable-management", "lumbar-support", "magnetic", "fsc-certified",
            ],
            features: [
                "paper that takes ink without bleeding", "a back that follows every move",
                "a nib that suits both hands", "a motor that lifts eighty kilograms",
                "drawers that close softly", "lines that are kind to the eye",
            ]
        ),
        GeneratorCategory(
            name: "Health",
            code: "HE",
            medianCents: 2200,
            sigma: 0.7,
            subcategories: [
                "Vitamins", "First Aid", "Massage", "Sleep", "Monitors",
            ],
            nouns: [
                "Vitamin D", "First Aid Kit", "Massage Gun", "Sleep Mask",
                "Blood Pressure Monitor", "Magnesium", "Heating Pad", "Thermometer", "Ear Plugs",
                "Foam Roller",
            ],
            brands: [
                "Vitalane", "Botanica", "Mendwell", "Slumber", "Pulsely", "Hazel", "Clearhaven",
                "Aquora",
            ],
            tags: [
                "vegan", "sugar-free", "high-dose", "travel-size", "rechargeable",
                "clinically-tested", "gluten-free", "quiet", "reusable", "adjustable",
                "bluetooth", "90-days",
            ],
            features: [
                "doses checked by an independent laboratory", "four heads for every muscle",
                "a cuff that fits most arms", "a memory for two persons",
                "capsules without gelatine", "silk that feels cool",
            ]
        ),
    ]

    /// Tags that any product may have.
    static let commonTags: [StaticString] = [
        "sale", "new-arrival", "bestseller", "limited", "gift", "clearance", "eco-friendly",
        "made-in-usa", "made-in-eu", "premium", "budget", "exclusive", "online-only",
        "free-shipping", "bundle", "refurbished", "seasonal", "summer", "winter",
        "back-to-school", "holiday", "staff-pick", "top-rated", "low-stock", "sustainable",
        "classic", "trending", "lifetime-warranty", "plastic-free", "small-business",
    ]
}
