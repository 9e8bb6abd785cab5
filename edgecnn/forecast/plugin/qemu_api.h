// The part of QEMU's plugin interface, version 1, that the forecast uses. Debian's qemu-user comes without
// the header; the functions are in the program that loads the plugin.
#ifndef EDGECNN_FORECAST_QEMU_API_H_
#define EDGECNN_FORECAST_QEMU_API_H_

#include <stddef.h>
#include <stdint.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_RW = 3 };

typedef void (*tb_translated)(qemu_plugin_id_t, struct qemu_plugin_tb*);
typedef void (*executed)(unsigned vcpu, void* data);
typedef void (*accessed)(unsigned vcpu, qemu_plugin_meminfo_t, uint64_t address, void* data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb*, executed, int flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, executed, int flags, void* data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn*, accessed, int flags, int rw, void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn*);

#endif
