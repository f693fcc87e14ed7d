#include "csimdjson.h"

#include <simdjson.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <sys/random.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace {

// Scans and copies work in blocks of this many bytes and may touch as many beyond the end.
constexpr size_t padding = 64;
// Larger inputs are refused: offsets are 32 bits.
constexpr size_t lengthMax = size_t(1) << 31;
// A parser that met a giant lets its buffers go at the next small document.
constexpr size_t keptCapacityMax = 4 << 20;
// Objects up to this many members are checked for duplicates by comparing.
constexpr uint32_t comparedCountMax = 64;

template <class T> struct Buffer {
    T *data = nullptr;
    size_t capacity = 0;

    ~Buffer() { std::free(data); }
    // Contents are not kept: every use starts afresh.
    bool reserve(size_t count) {
        if (count <= capacity) return true;
        size_t wanted = count + count / 2 + 64;
        std::free(data);
        data = static_cast<T *>(std::malloc(wanted * sizeof(T)));
        capacity = data == nullptr ? 0 : wanted;
        return data != nullptr;
    }
    void release() {
        std::free(data);
        data = nullptr;
        capacity = 0;
    }
};

struct Open {
    uint32_t node;
    uint32_t count;
};

struct Failure {
    int code;
    const uint8_t *at;
};

inline bool endsScalar(uint8_t c) {
    switch (c) {
    case ' ': case '\t': case '\n': case '\r':
    case ',': case ':': case '[': case ']': case '{': case '}':
        return true;
    default:
        return false;
    }
}

inline bool isDigit(uint8_t c) { return uint8_t(c - '0') < 10; }

inline int hexValue(uint8_t c) {
    if (isDigit(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

inline int hex4(const uint8_t *p) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hexValue(p[i]);
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

inline uint8_t *putUTF8(uint8_t *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = uint8_t(c);
    } else if (c < 0x800) {
        *out++ = uint8_t(0xC0 | c >> 6);
        *out++ = uint8_t(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = uint8_t(0xE0 | c >> 12);
        *out++ = uint8_t(0x80 | (c >> 6 & 63));
        *out++ = uint8_t(0x80 | (c & 63));
    } else {
        *out++ = uint8_t(0xF0 | c >> 18);
        *out++ = uint8_t(0x80 | (c >> 12 & 63));
        *out++ = uint8_t(0x80 | (c >> 6 & 63));
        *out++ = uint8_t(0x80 | (c & 63));
    }
    return out;
}

// Unescapes [p, end), which holds no closing quote, to `out`. Null on success is `out`'s new end.
uint8_t *unescape(const uint8_t *p, const uint8_t *end, uint8_t *out, Failure &failure) {
    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        failure = {AISLE_JSON_ESCAPE, p};
        if (end - p < 2) return nullptr;
        switch (p[1]) {
        case '"': *out++ = '"'; break;
        case '\\': *out++ = '\\'; break;
        case '/': *out++ = '/'; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u': {
            int unit = end - p < 6 ? -1 : hex4(p + 2);
            if (unit < 0) return nullptr;
            uint32_t scalar = uint32_t(unit);
            if (unit >= 0xD800 && unit < 0xE000) {
                failure.code = AISLE_JSON_SURROGATE;
                bool isPair = unit < 0xDC00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u';
                int low = isPair ? hex4(p + 8) : -1;
                if (low < 0xDC00 || low >= 0xE000) return nullptr;
                scalar = 0x10000 + ((scalar - 0xD800) << 10) + uint32_t(low - 0xDC00);
                p += 6;
            }
            out = putUTF8(out, scalar);
            p += 4;
            break;
        }
        default: return nullptr;
        }
        p += 2;
    }
    return out;
}

inline uint64_t load64(const uint8_t *p) {
    uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
}

inline uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return uint64_t(product) ^ uint64_t(product >> 64);
}

} // namespace

struct aisle_json_parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1;
    size_t stage1Capacity = 0;
    Buffer<uint8_t> input;
    Buffer<uint8_t> text;
    Buffer<uint8_t> strings;
    Buffer<aisle_json_node> nodes;
    Buffer<Open> stack;
    Buffer<uint32_t> table;
    // Secret, so that no client can choose keys that collide.
    uint64_t seed = 0;

    bool reserve(size_t length, uint32_t depthMax) {
        if (input.capacity > keptCapacityMax && length < keptCapacityMax / 8) {
            input.release();
            text.release();
            strings.release();
            nodes.release();
            table.release();
            stage1Capacity = 0;
        }
        if (!input.reserve(length + padding) || !text.reserve(length + padding)
            || !strings.reserve(length + padding) || !stack.reserve(size_t(depthMax) + 1))
            return false;
        if (stage1Capacity >= length) return true;
        size_t wanted = length + length / 2 + 1024;
        auto &active = simdjson::get_active_implementation();
        stage1.reset();
        stage1Capacity = 0;
        if (active->create_dom_parser_implementation(wanted, 16, stage1)) return false;
        stage1Capacity = wanted;
        return true;
    }

    const uint8_t *keyBytes(const aisle_json_node &key) const {
        auto base = key.flags & AISLE_JSON_FLAG_ESCAPED ? strings.data : text.data;
        return base + (key.value >> 32);
    }

    bool sameKey(const aisle_json_node &a, const aisle_json_node &b) const {
        uint32_t length = uint32_t(a.value);
        return length == uint32_t(b.value)
            && std::memcmp(keyBytes(a), keyBytes(b), length) == 0;
    }

    uint64_t hashKey(const aisle_json_node &key) const {
        const uint8_t *p = keyBytes(key);
        size_t n = uint32_t(key.value);
        uint64_t h = seed ^ mix(n + 0x9E3779B97F4A7C15u, seed | 1);
        for (; n >= 8; n -= 8, p += 8) h = mix(h ^ load64(p), 0xD6E8FEB86659FD93u);
        uint64_t tail = 0;
        if (n > 0) std::memcpy(&tail, p, n);
        return mix(h ^ tail, 0xA0761D6478BD642Fu ^ seed);
    }

    // The second key of an equal pair in the object at `object`, or 0. Expected linear.
    uint32_t duplicateKey(uint32_t object, uint32_t end, uint32_t count);
    uint32_t duplicateKeyByHash(uint32_t object, uint32_t end, uint32_t count);
    int walk(size_t length, uint32_t depthMax, aisle_json_view *view);
};

uint32_t aisle_json_parser::duplicateKey(uint32_t object, uint32_t end, uint32_t count) {
    if (count < 2) return 0;
    if (count > comparedCountMax) return duplicateKeyByHash(object, end, count);
    // A small Bloom filter of length and outer bytes: only keys that hit it are compared.
    uint64_t seen[4] = {0, 0, 0, 0};
    for (uint32_t key = object + 1; key < end; key += 1 + nodes.data[key + 1].span) {
        const aisle_json_node &node = nodes.data[key];
        uint32_t length = uint32_t(node.value);
        const uint8_t *bytes = keyBytes(node);
        uint32_t h = length * 0x9E3779B1u;
        if (length > 0)
            h += bytes[0] * 0x85EBCA6Bu + bytes[length / 2] * 0xC2B2AE35u
                + bytes[length - 1] * 0x27D4EB2Fu;
        h ^= h >> 15;
        h *= 0x2C1B3C6Du;
        h >>= 24;
        uint64_t bit = uint64_t(1) << (h & 63);
        uint64_t &word = seen[h >> 6];
        if (word & bit)
            for (uint32_t other = object + 1; other < key; other += 1 + nodes.data[other + 1].span)
                if (sameKey(nodes.data[other], node)) return key;
        word |= bit;
    }
    return 0;
}

uint32_t aisle_json_parser::duplicateKeyByHash(uint32_t object, uint32_t end, uint32_t count) {
    size_t size = 256;
    while (size < size_t(count) * 2) size *= 2;
    if (!table.reserve(size)) return UINT32_MAX;
    std::memset(table.data, 0, size * sizeof(uint32_t));
    for (uint32_t key = object + 1; key < end; key += 1 + nodes.data[key + 1].span) {
        const aisle_json_node &node = nodes.data[key];
        size_t at = hashKey(node) & (size - 1);
        while (table.data[at] != 0) {
            if (sameKey(nodes.data[table.data[at]], node)) return key;
            at = (at + 1) & (size - 1);
        }
        table.data[at] = key;
    }
    return 0;
}

namespace {

// Copies the string at `p` (its opening quote) to `out` and returns the closing quote, which the
// first stage proved to be there.
inline const uint8_t *copyString(const uint8_t *p, uint8_t *out, bool &isEscaped) {
    const uint8_t *start = p;
    *out = '"';
    p++;
    isEscaped = false;
    for (;;) {
#if defined(__SSE2__)
        __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(out + (p - start)), block);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                    _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
        unsigned mask = unsigned(_mm_movemask_epi8(hits));
        if (mask == 0) {
            p += 16;
            continue;
        }
        p += __builtin_ctz(mask);
        if (*p == '"') return p;
#else
        if (*p == '"') {
            out[p - start] = '"';
            return p;
        }
        if (*p != '\\') {
            out[p - start] = *p;
            p++;
            continue;
        }
#endif
        isEscaped = true;
        out[p - start] = p[0];
        out[p - start + 1] = p[1];
        p += 2;
    }
}

// Checks the number at `p` and returns its end, or null. Sets `value` and flags for integers.
inline const uint8_t *scanNumber(const uint8_t *p, aisle_json_node &node) {
    bool isNegative = *p == '-';
    if (isNegative) p++;
    const uint8_t *digits = p;
    uint64_t magnitude = 0;
    while (isDigit(*p)) magnitude = magnitude * 10 + uint64_t(*p++ - '0');
    size_t count = size_t(p - digits);
    if (count == 0 || (count > 1 && *digits == '0')) return nullptr;
    bool isInteger = true;
    if (*p == '.') {
        isInteger = false;
        if (!isDigit(*++p)) return nullptr;
        while (isDigit(*p)) p++;
    }
    if ((*p | 0x20) == 'e') {
        isInteger = false;
        p++;
        if (*p == '+' || *p == '-') p++;
        if (!isDigit(*p)) return nullptr;
        while (isDigit(*p)) p++;
    }
    if (!endsScalar(*p)) return nullptr;
    node.value = 0;
    node.flags = 0;
    if (isInteger) {
        node.flags = AISLE_JSON_FLAG_INTEGER;
        // 19 digits cannot wrap 64 unsigned bits.
        uint64_t bound = (uint64_t(1) << 63) - (isNegative ? 0 : 1);
        if (count <= 19 && magnitude <= bound) {
            node.flags |= AISLE_JSON_FLAG_INT64;
            node.value = isNegative ? 0 - magnitude : magnitude;
        }
    }
    return p;
}

} // namespace

// The grammar as a state machine over the first stage's token positions; an explicit stack instead
// of recursion. Buffers were sized beforehand: tokens bound nodes, input bytes bound both texts.
int aisle_json_parser::walk(size_t length, uint32_t depthMax, aisle_json_view *view) {
    const uint8_t *in = input.data;
    const uint32_t *token = stage1->structural_indexes.get();
    const uint32_t *tokensEnd = token + stage1->n_structural_indexes;
    uint8_t *const textStart = text.data;
    uint8_t *out = textStart;
    uint8_t *side = strings.data;
    aisle_json_node *const first = nodes.data;
    aisle_json_node *node = first;
    uint32_t depth = 0;
    const uint8_t *p = in;
    auto fail = [&](int code, const uint8_t *at) {
        view->error_offset = uint64_t(at - in);
        return code;
    };
    auto nextToken = [&]() -> bool {
        if (token == tokensEnd) {
            p = in + length;
            return false;
        }
        p = in + *token++;
        return true;
    };
    auto string = [&]() -> int {
        bool isEscaped;
        const uint8_t *quote = copyString(p, out, isEscaped);
        uint32_t size = uint32_t(quote - p) + 1;
        uint32_t offset = uint32_t(out - textStart);
        out[size - 1] = '"';
        out += size;
        node->type = AISLE_JSON_STRING;
        node->flags = 0;
        node->reserved = 0;
        node->text_offset = offset;
        node->text_length = size;
        node->value = uint64_t(offset + 1) << 32 | (size - 2);
        if (__builtin_expect(isEscaped, 0)) {
            Failure failure = {AISLE_JSON_OK, p};
            uint8_t *end = unescape(p + 1, quote, side, failure);
            if (end == nullptr) return fail(failure.code, failure.at);
            node->flags = AISLE_JSON_FLAG_ESCAPED;
            node->value = uint64_t(side - strings.data) << 32 | uint64_t(end - side);
            side = end;
        }
        node->span = 1;
        node++;
        return AISLE_JSON_OK;
    };
    auto literal = [&](const char *word, uint32_t size, uint8_t type, uint8_t flags) -> bool {
        if (std::memcmp(p, word, size) != 0 || !endsScalar(p[size])) return false;
        std::memcpy(out, word, size);
        *node = {type, flags, 0, 1, uint32_t(out - textStart), size, 0};
        out += size;
        node++;
        return true;
    };

    if (!nextToken()) return fail(AISLE_JSON_EMPTY, p);
value:
    switch (*p) {
    case '"': {
        int code = string();
        if (code != AISLE_JSON_OK) return code;
        break;
    }
    case '{':
    case '[': {
        if (depth == depthMax) return fail(AISLE_JSON_TOO_DEEP, p);
        bool isObject = *p == '{';
        uint8_t type = isObject ? AISLE_JSON_OBJECT : AISLE_JSON_ARRAY;
        *node = {type, 0, 0, UINT32_MAX, uint32_t(out - textStart), 0, 0};
        stack.data[depth++] = {uint32_t(node - first), 0};
        *out++ = *p;
        node++;
        if (!nextToken()) return fail(AISLE_JSON_SYNTAX, p);
        if (*p == (isObject ? '}' : ']')) goto close;
        if (isObject) goto key;
        stack.data[depth - 1].count++;
        goto value;
    }
    case 't':
        if (!literal("true", 4, AISLE_JSON_BOOL, AISLE_JSON_FLAG_TRUE))
            return fail(AISLE_JSON_SYNTAX, p);
        break;
    case 'f':
        if (!literal("false", 5, AISLE_JSON_BOOL, 0)) return fail(AISLE_JSON_SYNTAX, p);
        break;
    case 'n':
        if (!literal("null", 4, AISLE_JSON_NULL, 0)) return fail(AISLE_JSON_SYNTAX, p);
        break;
    default: {
        if (*p != '-' && !isDigit(*p)) return fail(AISLE_JSON_SYNTAX, p);
        const uint8_t *end = scanNumber(p, *node);
        if (end == nullptr) return fail(AISLE_JSON_NUMBER_GRAMMAR, p);
        uint32_t size = uint32_t(end - p);
        node->type = AISLE_JSON_NUMBER;
        node->reserved = 0;
        node->span = 1;
        node->text_offset = uint32_t(out - textStart);
        node->text_length = size;
        if (size <= 16)
            std::memcpy(out, p, 16);
        else
            std::memcpy(out, p, size);
        out += size;
        node++;
        break;
    }
    }
after:
    if (depth == 0) {
        if (nextToken()) return fail(AISLE_JSON_TRAILING, p);
        goto done;
    }
    {
        Open &open = stack.data[depth - 1];
        bool isObject = first[open.node].type == AISLE_JSON_OBJECT;
        if (!nextToken()) return fail(AISLE_JSON_SYNTAX, p);
        if (*p == ',') {
            *out++ = ',';
            if (!nextToken()) return fail(AISLE_JSON_SYNTAX, p);
            if (isObject) goto key;
            open.count++;
            goto value;
        }
        if (*p != (isObject ? '}' : ']')) return fail(AISLE_JSON_SYNTAX, p);
        goto close;
    }
key:
    {
        if (*p != '"') return fail(AISLE_JSON_SYNTAX, p);
        stack.data[depth - 1].count++;
        int code = string();
        if (code != AISLE_JSON_OK) return code;
        if (!nextToken() || *p != ':') return fail(AISLE_JSON_SYNTAX, p);
        *out++ = ':';
        if (!nextToken()) return fail(AISLE_JSON_SYNTAX, p);
        goto value;
    }
close:
    {
        Open &open = stack.data[--depth];
        aisle_json_node &container = first[open.node];
        uint32_t end = uint32_t(node - first);
        *out++ = *p;
        if (container.type == AISLE_JSON_OBJECT) {
            uint32_t duplicate = duplicateKey(open.node, end, open.count);
            if (duplicate != 0) {
                view->node_count = end;
                view->error_node = duplicate;
                if (duplicate == UINT32_MAX) return fail(AISLE_JSON_MEMORY, p);
                return fail(AISLE_JSON_DUPLICATE_KEY, p);
            }
        }
        container.span = end - open.node;
        container.value = open.count;
        container.text_length = uint32_t(out - textStart) - container.text_offset;
        goto after;
    }
done:
    *out = 0;
    view->text_length = uint32_t(out - textStart);
    view->node_count = uint32_t(node - first);
    return AISLE_JSON_OK;
}

extern "C" aisle_json_parser *aisle_json_parser_create(void) {
    auto parser = new (std::nothrow) aisle_json_parser();
    if (parser == nullptr) return nullptr;
    if (getrandom(&parser->seed, sizeof parser->seed, GRND_NONBLOCK) != sizeof parser->seed)
        parser->seed = reinterpret_cast<uintptr_t>(parser) * 0x9E3779B97F4A7C15u;
    return parser;
}

extern "C" void aisle_json_parser_destroy(aisle_json_parser *parser) { delete parser; }

extern "C" int aisle_json_parse(aisle_json_parser *parser, const uint8_t *bytes, size_t length,
                                uint32_t depth_max, aisle_json_view *view) {
    *view = {};
    if (length == 0) return AISLE_JSON_EMPTY;
    if (length > lengthMax) return AISLE_JSON_TOO_LARGE;
    if (!parser->reserve(length, depth_max)) return AISLE_JSON_MEMORY;
    std::memcpy(parser->input.data, bytes, length);
    std::memset(parser->input.data + length, ' ', padding);
    auto error = parser->stage1->stage1(parser->input.data, length, simdjson::stage1_mode::regular);
    switch (error) {
    case simdjson::SUCCESS: break;
    case simdjson::EMPTY: return AISLE_JSON_EMPTY;
    case simdjson::UTF8_ERROR: return AISLE_JSON_UTF8;
    case simdjson::UNESCAPED_CHARS: return AISLE_JSON_CONTROL_CHARACTER;
    case simdjson::UNCLOSED_STRING: return AISLE_JSON_UNCLOSED_STRING;
    case simdjson::MEMALLOC: return AISLE_JSON_MEMORY;
    case simdjson::CAPACITY: return AISLE_JSON_TOO_LARGE;
    default: return AISLE_JSON_SYNTAX;
    }
    if (!parser->nodes.reserve(size_t(parser->stage1->n_structural_indexes) + 1))
        return AISLE_JSON_MEMORY;
    int code = parser->walk(length, depth_max, view);
    view->text = parser->text.data;
    view->strings = parser->strings.data;
    view->nodes = parser->nodes.data;
    return code;
}

extern "C" double aisle_json_double(const uint8_t *text, size_t length) {
    const char *start = reinterpret_cast<const char *>(text);
    double value = 0;
    auto result = std::from_chars(start, start + length, value);
    if (result.ec == std::errc()) return value;
    return std::strtod(start, nullptr);
}
