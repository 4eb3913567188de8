/*
 * Functions of a guest's first process. It prints `FW guest`, sets up the machine, runs one program, and ends the
 * machine when the program has ended. Include this header before any system header.
 */
#ifndef INIT_H
#define INIT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stddef.h>

/* The file with the program and its arguments for Debian's service, each with a zero byte at the end. */
#define COMMAND_FILE "/run/featherweight"

/* The program's path and its arguments, with NULL at the end. */
typedef char *const *command;

/* Prints a line of at most 1,000 bytes on the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints `FW error WHAT: WHY` and ends the machine. */
_Noreturn void fail_because(const char *what, const char *why);

/* The same, with the error of errno. */
_Noreturn void fail(const char *what);

/*
 * Ends the machine after all output was sent. Ends only the process if neither debug exit nor reset works, or if the
 * machine was not booted for a program.
 */
_Noreturn void end_machine(void);

/* Returns the value of `NAME=` on the kernel's command line, before `--`; NULL if there is none. */
const char *option(const char *name);

/*
 * Splits the kernel's command line after `--` into words, which double quotes may enclose. Stores at most `most` words
 * in `words`, and returns their number. The kernel's own arguments to the first process do not suffice: they include
 * unknown kernel options.
 */
size_t arguments(char **words, size_t most);

/* Turns off the console's output processing, if it is a terminal. */
void make_raw(int console);

/* Runs the program with empty stdin and its output on the console. Ends the machine when the program has ended. */
_Noreturn void run(command command);

/* Mounts `type` on the folder `path`, and creates the folder if it is missing. */
void mount_at(const char *path, const char *type, const char *options);

/* Loads the modules of the image that this machine needs, in the image's order. */
void load_modules(int network, int disk);

/* Sets up the loopback device, and `eth0` unless `text` is NULL. Its format is ADDRESS/PREFIX,GATEWAY,GATEWAY'S-MAC. */
void bring_up_network(const char *text);

/* Adds the image's programs and the command to the file system on `disk`, and starts that system's first process. */
_Noreturn void switch_root(const char *disk, command command);

#endif
