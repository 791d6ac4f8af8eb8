"""Says what a Mach-O file is and what it needs; exits 1 where that is wrong.

  macho.py FILE [--needs TEXT ...]

Prints the processor, the kind, the libraries it loads and how many symbols it
takes from them. Every TEXT must be part of the name of such a symbol.
Format: Apple's mach-o/loader.h and mach-o/nlist.h.
"""
import argparse
import struct
import sys

MAGIC_64 = 0xFEEDFACF
ARM64 = 0x0100000C
KINDS = {2: "executable", 6: "dynamic library"}
SYMTAB, LOAD_DYLIB = 0x2, 0xC
TYPE_MASK, UNDEFINED, DEBUG_MASK = 0x0E, 0x0, 0xE0


def text_at(data, start):
    return data[start : data.index(b"\0", start)].decode()


def read(data):
    magic, processor, _, kind, commands = struct.unpack_from("<5I", data)
    if magic != MAGIC_64 or processor != ARM64 or kind not in KINDS:
        raise ValueError("not a Mach-O program or library for arm64")
    libraries, undefined = [], []
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<2I", data, at)
        if command == LOAD_DYLIB:
            (name,) = struct.unpack_from("<I", data, at + 8)
            libraries.append(text_at(data, at + name))
        elif command == SYMTAB:
            symbols, count, names, _ = struct.unpack_from("<4I", data, at + 8)
            for i in range(count):
                name, type_ = struct.unpack_from("<IB", data, symbols + 16 * i)
                if not type_ & DEBUG_MASK and type_ & TYPE_MASK == UNDEFINED:
                    undefined.append(text_at(data, names + name))
        at += size
    return KINDS[kind], libraries, undefined


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--needs", nargs="*", default=[], metavar="TEXT")
    options = parser.parse_args()
    with open(options.file, "rb") as file:
        data = file.read()
    try:
        kind, libraries, undefined = read(data)
    except (ValueError, struct.error) as error:
        sys.exit(f"{options.file}: {error}")
    print(f"{options.file}: arm64 Mach-O {kind}, {len(undefined)} symbols from")
    for library in libraries:
        print(f"  {library}")
    for text in options.needs:
        if not any(text in name for name in undefined):
            sys.exit(f"{options.file}: takes no symbol with {text} in its name")


if __name__ == "__main__":
    main()
