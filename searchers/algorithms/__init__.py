"""What proposes candidates: one contract, and every algorithm behind it."""
