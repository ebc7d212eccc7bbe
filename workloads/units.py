"""Units that more than one room converts between."""

BITS_PER_BYTE = 8
PJ_PER_NJ = 1e3
OPERATIONS_PER_MAC = 2
