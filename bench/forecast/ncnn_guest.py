"""Runs one network of ncnn's benchmark the way its benchncnn does, in the emulated machine of record.py.

python ncnn_guest.py FILE.param WIDTH HEIGHT CHANNELS
Random (zero) weights, pool allocators, one thread; one frame to warm up, then one between the marks of the plugin.
"""

import ctypes
import mmap
import os
import sys

import ncnn


def mark(hint):
    """A function of two instructions: the hint, and a return."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write((0xD503201F | hint << 5).to_bytes(4, "little") + 0xD65F03C0.to_bytes(4, "little"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    function = ctypes.CFUNCTYPE(None)(address)
    function.page = page
    return function


def main():
    param, size = sys.argv[1], [int(text) for text in sys.argv[2:5]]
    begin, end = mark(96), mark(97)
    net = ncnn.Net()
    blobs, workspace = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
    net.opt.num_threads = 1
    net.opt.lightmode = True
    net.opt.blob_allocator, net.opt.workspace_allocator = blobs, workspace
    net.load_param(param)
    net.load_model(ncnn.DataReaderFromEmpty())
    frame = ncnn.Mat(*size)
    frame.fill(0.01)
    for _ in range(2):
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], frame)
        begin()
        for name in net.output_names():
            extractor.extract(name)
        end()
    # The interpreter's farewell is long under emulation.
    sys.stdout.flush()
    os._exit(0)


main()
