/*
 * Included before anything else in every source of a Unikraft image, so that the guests' own sources need no change:
 * what a unikernel has not, or has otherwise, is taken from unikraft.c. Their main is called from there, too, since
 * nobody outside sees the exit status of a unikernel.
 *
 * Signals: nobody sends one, and what Unikraft has of them depends on its version and configuration. The deadline is
 * the monitor's, which ends the whole guest.
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
