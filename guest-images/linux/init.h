/*
 * The first process of a guest: what its parts share. It prints `FW guest`, makes the machine ready, runs one program
 * and ends the machine when that has ended. Include it before any system header.
 */
#ifndef INIT_H
#define INIT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stddef.h>

/* Where a Debian's service finds the program and its arguments, each ended by a zero byte. */
#define COMMAND_FILE "/run/featherweight"

/* The program's path and its arguments, ended by NULL. */
typedef char *const *command;

/* Prints one line, of at most 1,000 bytes, on the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints `FW error WHAT: WHY` and ends the machine. */
_Noreturn void fail_because(const char *what, const char *why);

/* The same; why is what errno says. */
_Noreturn void fail(const char *what);

/*
 * Ends the machine after everything that was printed has left it. Where neither a debug exit nor a reset works, and
 * where this is no machine of ours, it ends the process.
 */
_Noreturn void end_machine(void);

/* The value of `NAME=` on the kernel's command line, before `--`; NULL without. */
const char *option(const char *name);

/*
 * What stands behind `--` on the kernel's command line, by words; double quotes keep blanks in one. Puts at most `most`
 * of them in `words` and says how many. The kernel would give them to the first process, too, but with all those of its
 * own options that it does not know.
 */
size_t arguments(char **words, size_t most);

/* Lets lines leave the console as they are printed. What is no terminal already does that. */
void make_raw(int console);

/* Runs the program with stdin empty and its output on the console; ends the machine when it has ended. */
_Noreturn void run(command command);

/* Mounts `type` on the folder `path`, which is made if it is missing. */
void mount_at(const char *path, const char *type, const char *options);

/* Loads those modules of the image that this machine needs, in the image's order. */
void load_modules(int network, int disk);

/* Brings the loopback device up, and `eth0` as `text` says it: ADDRESS/PREFIX,GATEWAY,GATEWAY'S-MAC, or NULL. */
void bring_up_network(const char *text);

/* Puts the programs of the image and the command into the file system on `disk`, and starts its first process. */
_Noreturn void switch_root(const char *disk, command command);

#endif
