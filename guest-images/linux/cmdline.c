/* Parses the kernel's command line: options for the first process, ` -- `, and the program's arguments. */
#include "init.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SEPARATOR " -- "

static char text[4096];
static char *behind; /* the text after the separator */

/* The kernel's command line has at most 2,048 bytes (COMMAND_LINE_SIZE of x86). */
static void read_text(void)
{
    if (behind != NULL)
        return;
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length < 0)
        length = 0;
    if (fd >= 0)
        close(fd);
    text[length] = '\0';
    char *separator = strstr(text, SEPARATOR);
    behind = text + length;
    if (separator != NULL) {
        behind = separator + strlen(SEPARATOR);
        *separator = '\0';
    }
}

const char *option(const char *name)
{
    size_t length = strlen(name);
    read_text();
    for (const char *word = text; *(word += strspn(word, " \n")) != '\0'; word += strcspn(word, " \n"))
        if (strncmp(word, name, length) == 0 && word[length] == '=')
            return strndup(word + length + 1, strcspn(word, " \n") - length - 1);
    return NULL;
}

/* Terminates a word in place and removes its quotes. Returns the start of the rest. */
static char *cut(char *word)
{
    int quoted = 0;
    char *to = word, *from = word;
    for (; *from != '\0' && (quoted || (*from != ' ' && *from != '\n')); from++) {
        if (*from == '"')
            quoted = !quoted;
        else
            *to++ = *from;
    }
    char *rest = *from == '\0' ? from : from + 1;
    *to = '\0';
    return rest;
}

size_t arguments(char **words, size_t most)
{
    size_t count = 0;
    read_text();
    for (char *at = behind; *(at += strspn(at, " \n")) != '\0' && count < most;) {
        words[count++] = at;
        at = cut(at);
    }
    return count;
}
