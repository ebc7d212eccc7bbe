"""The memory of ``docs/sparch.md``: channels, their banks, and where the matrices lie."""

from __future__ import annotations

from accel.sparch.config import Config


class Memory:
    """Serves one request after the other; later ones may well start earlier."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.channel_free = dict.fromkeys(range(config.hbm_channels), 0)
        self.bank_free: dict[tuple[int, int], int] = {}
        self.open_page: dict[tuple[int, int], int] = {}
        self.used = 0
        self.bursts = 0
        self.row_misses = 0

    def reserve(self, size: int) -> int:
        """Return the address of a matrix that follows those before, at the start of a row of every channel."""
        whole = self.config.hbm_row_bytes * self.config.hbm_channels
        address = -(-self.used // whole) * whole
        self.used = address + size
        return address

    def read(self, address: int, size: int, asked: int) -> int:
        """Return when the data has arrived."""
        return self.transfer(address, size, asked) + self.config.hbm_latency_cycles

    def transfer(self, address: int, size: int, asked: int) -> int:
        """Return when the last piece of a request has ended."""
        block = self.config.hbm_interleave_bytes
        end, at = asked, address
        while at < address + size:
            piece_end = min((at // block + 1) * block, address + size)
            end = max(end, self._piece(at, piece_end, asked))
            at = piece_end
        return end

    def _piece(self, first: int, end: int, asked: int) -> int:
        config = self.config
        block = first // config.hbm_interleave_bytes
        channel = block % config.hbm_channels
        page = block // config.hbm_channels // (config.hbm_row_bytes // config.hbm_interleave_bytes)
        bank = channel, page % config.hbm_banks

        bursts = (end - 1) // config.hbm_burst_bytes - first // config.hbm_burst_bytes + 1
        cycles = -(-bursts * config.hbm_burst_bytes // config.hbm_bytes_per_cycle)
        self.bursts += bursts

        ready = max(asked, self.bank_free.get(bank, 0))
        if self.open_page.get(bank) != page:
            self.row_misses += 1
            ready += config.hbm_row_miss_cycles
        ended = max(ready, self.channel_free[channel]) + cycles
        self.channel_free[channel] = self.bank_free[bank] = ended
        self.open_page[bank] = page
        return ended
