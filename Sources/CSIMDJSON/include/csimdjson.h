// JSON to a flat tape: simdjson's first stage (SIMD structure and UTF-8 validation) under a walk of
// our own that keeps every number's source text, checks the grammar and minifies in one pass.
//
// Tape: nodes in document order. A container is followed by its children; in an object each value
// is preceded by its key, a string node. `span` counts a node and its descendants, so siblings are
// reached without descending.
//
//   {"a":[1,"x"],"b":2}      0 object span 7 count 2
//                            1 string "a"   2 array span 3 count 2   3 number 1   4 string "x"
//                            5 string "b"   6 number 2
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    AISLE_JSON_NULL = 0,
    AISLE_JSON_BOOL = 1,
    AISLE_JSON_NUMBER = 2,
    AISLE_JSON_STRING = 3,
    AISLE_JSON_ARRAY = 4,
    AISLE_JSON_OBJECT = 5,
};

enum {
    /// BOOL: true.
    AISLE_JSON_FLAG_TRUE = 1,
    /// NUMBER: neither point nor exponent.
    AISLE_JSON_FLAG_INTEGER = 2,
    /// NUMBER: an integer that fits `value` as Int64.
    AISLE_JSON_FLAG_INT64 = 4,
    /// STRING: has escapes, so the unescaped bytes are in `strings`.
    AISLE_JSON_FLAG_ESCAPED = 8,
};

enum {
    AISLE_JSON_OK = 0,
    AISLE_JSON_EMPTY,
    AISLE_JSON_SYNTAX,
    AISLE_JSON_UNCLOSED_STRING,
    AISLE_JSON_CONTROL_CHARACTER,
    AISLE_JSON_UTF8,
    AISLE_JSON_ESCAPE,
    AISLE_JSON_SURROGATE,
    AISLE_JSON_NUMBER_GRAMMAR,
    AISLE_JSON_TRAILING,
    AISLE_JSON_TOO_DEEP,
    AISLE_JSON_DUPLICATE_KEY,
    AISLE_JSON_TOO_LARGE,
    AISLE_JSON_MEMORY,
};

typedef struct aisle_json_node {
    uint8_t type;
    uint8_t flags;
    uint16_t reserved;
    /// This node and its descendants, counted; UINT32_MAX while a container is open.
    uint32_t span;
    /// The value's minified text, quotes and brackets included.
    uint32_t text_offset;
    uint32_t text_length;
    /// NUMBER: Int64 bits. STRING: offset << 32 | length of the unescaped bytes, in `strings` when
    /// escaped, else in `text`. Containers: the number of elements or members.
    uint64_t value;
} aisle_json_node;

typedef struct aisle_json_view {
    const uint8_t *text;
    const uint8_t *strings;
    const aisle_json_node *nodes;
    uint32_t text_length;
    uint32_t node_count;
    /// On failure: a byte offset in the input, near the fault.
    uint64_t error_offset;
    /// DUPLICATE_KEY: the second key's node.
    uint32_t error_node;
} aisle_json_view;

typedef struct aisle_json_parser aisle_json_parser;

/// NULL when memory is short.
aisle_json_parser *aisle_json_parser_create(void);
void aisle_json_parser_destroy(aisle_json_parser *parser);

/// Parses one document. `view` is filled also on failure (its error fields) and is valid until the
/// next call on this parser. The input need not be padded or outlive the call. Linear time.
int aisle_json_parse(aisle_json_parser *parser, const uint8_t *bytes, size_t length,
                     uint32_t depth_max, aisle_json_view *view);

/// The double nearest to a number of the JSON grammar; beyond the range ±infinity or ±0. The byte
/// after the text must be readable and no part of a number.
double aisle_json_double(const uint8_t *text, size_t length);

#ifdef __cplusplus
}
#endif
