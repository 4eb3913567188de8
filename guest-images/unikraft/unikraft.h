/*
 * Included first in every source of a Unikraft image, so that guest programs need no changes. unikraft.c replaces
 * functions that a unikernel does not have or implements differently. It also calls the program's main and prints the
 * exit code, because a unikernel's exit status is not visible outside.
 *
 * Signals do nothing: nobody sends one, and Unikraft's support depends on its version and configuration. The monitor
 * enforces the deadline by ending the whole guest.
 */
#ifndef FW_UNIKRAFT_H
#define FW_UNIKRAFT_H

#define main fw_program_main
#define _exit fw_unikraft_exit
#define alarm fw_unikraft_alarm
#define pause fw_unikraft_pause
#define sigaction fw_unikraft_sigaction
#define sigprocmask fw_unikraft_sigprocmask

#endif
