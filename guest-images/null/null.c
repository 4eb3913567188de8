/*
 * The smallest guest: prints its lines on the first serial port and ends the machine. It measures the lower bound of a
 * boot time, which is the monitor's share. Its command line is `fw.run=/fw/PROGRAM -- key=value ...`, as that of every
 * guest system. It implements three programs:
 *   hello   prints its line and ends
 *   sleep   prints that it is ready, and halts until it is ended
 *   probe   misbehaves like guest-images/programs/probe.c, and like a kernel. The values of do= are
 *           exit where silent hang flood crash, and compute reset panic spin deaf
 * It needs less than 2 MiB of memory, and uses one processor.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
    SERIAL = 0x3f8, /* the first 16550 */
    LINE_STATUS = SERIAL + 5,
    TRANSMITTER_EMPTY = 0x20,
    END_OF_MACHINE = 0xf4, /* isa-debug-exit */
    ENDED_ORDERLY = 1,
    PIC_MASK_1 = 0x21, /* the legacy interrupt controllers, which firmware may have enabled */
    PIC_MASK_2 = 0xa1,
    ALL = 0xff,
    KEYBOARD_CONTROLLER = 0x64,
    PULSE_RESET = 0xfe,
    CODE_SEGMENT = 8,
    TICK_VECTOR = 32,
    EXIT_USAGE = 2,      /* as in fw.h */
    EXIT_DEADLINE = 124,
    MOST_ARGUMENT = 80,
};

/* The local interrupt controller (Intel SDM, volume 3, table 10-1). Its timer is the only clock. */
#define APIC(offset) (*(volatile u32 *)(0xfee00000UL + (offset)))
enum {
    APIC_EOI = 0x0b0,
    APIC_SPURIOUS = 0x0f0,
    APIC_TIMER = 0x320,
    APIC_INITIAL = 0x380,
    APIC_DIVIDE = 0x3e0,
    APIC_ENABLED = 0x100,
    APIC_PERIODIC = 0x20000,
    APIC_BY_ONE = 0xb,
    /* In QEMU and KVM, the timer counts nanoseconds (hw/intc/apic_common.c; KVM_CAP_X86_APIC_BUS_CYCLES_NS). */
    APIC_HZ = 1000000000,
};

/* The first fields of a PVH guest's start information (xen/include/public/arch-x86/hvm/start_info.h). */
struct start_info {
    u32 magic, version, flags, modules;
    u64 module_list, command_line;
};

/* A 64-bit gate (Intel SDM, volume 3, figure 6-8). */
struct gate {
    u32 low, high, upper, reserved;
};

struct gate idt[TICK_VECTOR + 1] __attribute__((aligned(16)));
extern const u8 vectors[];

static volatile u32 seconds;
static u32 deadline;

static inline void out(u32 port, u8 value)
{
    __asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"(port));
}

static inline u8 in(u32 port)
{
    u8 value;
    __asm__ volatile("inb %w1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void say(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((in(LINE_STATUS) & TRANSMITTER_EMPTY) == 0)
            ;
        out(SERIAL, (u8)*text);
    }
}

static void say_number(u32 number)
{
    char text[11], *at = text + sizeof text - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    say(at);
}

static _Noreturn void halt(void)
{
    for (;;)
        __asm__ volatile("hlt");
}

static _Noreturn void end(const char *how, u32 number)
{
    say("FW exit ");
    say(how);
    say_number(number);
    say("\n");
    out(END_OF_MACHINE, ENDED_ORDERLY);
    halt();
}

/* Reports a processor fault as Linux would: an invalid instruction as SIGILL, others as SIGSEGV (signal(7)). */
void null_fault(u32 vector)
{
    end("signal ", vector == 6 ? 4 : 11);
}

static __attribute__((interrupt)) void tick(void *frame)
{
    (void)frame;
    seconds++;
    APIC(APIC_EOI) = 0;
    if (deadline > 0 && seconds >= deadline)
        end("code ", EXIT_DEADLINE);
}

static void set_gate(u32 vector, const void *handler)
{
    u64 at = (u64)handler;
    idt[vector].low = CODE_SEGMENT << 16 | (u32)(at & 0xffff);
    idt[vector].high = (u32)(at & 0xffff0000) | 0x8e00; /* present, an interrupt gate */
    idt[vector].upper = (u32)(at >> 32);
}

/* Starts one tick a second, which is enough for the deadline and costs the host almost nothing. */
static void start_clock(void)
{
    set_gate(TICK_VECTOR, (const void *)tick);
    out(PIC_MASK_1, ALL);
    out(PIC_MASK_2, ALL);
    APIC(APIC_SPURIOUS) = APIC_ENABLED | 0xff;
    APIC(APIC_DIVIDE) = APIC_BY_ONE;
    APIC(APIC_TIMER) = APIC_PERIODIC | TICK_VECTOR;
    APIC(APIC_INITIAL) = APIC_HZ;
    __asm__ volatile("sti");
}

static int begins(const char *text, const char *with)
{
    while (*with != '\0')
        if (*text++ != *with++)
            return 0;
    return 1;
}

/* Whether the word at `text` is `word`. */
static int is(const char *text, const char *word)
{
    for (; *word != '\0'; text++, word++)
        if (*text != *word)
            return 0;
    return *text == '\0' || *text == ' ';
}

/* Returns what follows `key` at the start of a word in `line`; an empty string if there is no such word. */
static const char *value_of(const char *line, const char *key)
{
    for (const char *at = line; *at != '\0'; at++) {
        u32 length = 0;
        if ((at != line && at[-1] != ' ') || !begins(at, key))
            continue;
        while (key[length] != '\0')
            length++;
        return at + length;
    }
    return "";
}

static u32 number_of(const char *line, const char *key)
{
    u32 number = 0;
    for (const char *at = value_of(line, key); *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (u32)(*at - '0');
    return number;
}

/*
 * Computes something that only a processor does fast enough: a host that emulates each instruction needs a microsecond
 * for it, and may not support vector instructions.
 */
static void compute(void)
{
    enum { ROUNDS = 20000000 };
    u64 left = ROUNDS;
    __asm__ volatile("movq %%cr4, %%rax\n\t"
                     "orq $0x200, %%rax\n\t" /* OSFXSR enables vector instructions */
                     "movq %%rax, %%cr4\n\t"
                     "pxor %%xmm0, %%xmm0\n\t"
                     "pcmpeqd %%xmm1, %%xmm1\n"
                     "1:\n\t"
                     "paddq %%xmm1, %%xmm0\n\t"
                     "decq %0\n\t"
                     "jnz 1b"
                     : "+r"(left)
                     :
                     : "rax", "cc");
    say("FW ready\n");
}

/* With an empty interrupt table, an interrupt shuts the processor down, and the machine resets. */
static void triple_fault(void)
{
    static const struct __attribute__((packed)) {
        unsigned short limit;
        u64 base;
    } none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none));
    halt();
}

static void where(void)
{
    say("FW result {\"pid\":1}\n");
}

static void crash(void)
{
    __asm__ volatile("ud2");
}

static void flood(void)
{
    for (u32 line = 0;; line++) {
        say("flood ");
        say_number(line);
        say("\n");
    }
}

/* Only the monitor can end this; even the deadline does not. */
static void deaf(void)
{
    __asm__ volatile("cli");
    say("FW ready\n");
    halt();
}

static void spin(void)
{
    __asm__ volatile("cli");
    say("FW ready\n");
    for (;;)
        ;
}

static void sleep_for_ever(void)
{
    say("FW ready\n");
    halt();
}

/* Behaves like a panic of Linux: prints a message and resets the machine. */
static void panic(void)
{
    say("Kernel panic - not syncing: as it was told\n");
    out(KEYBOARD_CONTROLLER, PULSE_RESET);
    triple_fault();
}

static void probe(const char *arguments)
{
    static const struct {
        const char *name;
        void (*act)(void);
    } acts[] = {
        {"where", where}, {"compute", compute}, {"hang", sleep_for_ever}, {"flood", flood}, {"crash", crash},
        {"reset", triple_fault}, {"panic", panic}, {"spin", spin}, {"deaf", deaf},
    };
    const char *what = value_of(arguments, "do=");
    if (is(what, "exit"))
        end("code ", number_of(arguments, "code="));
    for (u32 i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (is(what, acts[i].name)) {
            acts[i].act();
            return;
        }
    }
    say("FW error argument `do`: unknown value\n");
    end("code ", EXIT_USAGE);
}

void null_main(const struct start_info *start)
{
    const char *line = (const char *)start->command_line;
    const char *arguments = value_of(line, "-- ");
    const char *program = value_of(line, "fw.run=/fw/");
    for (u32 vector = 0; vector < TICK_VECTOR; vector++)
        set_gate(vector, vectors + 16 * vector);
    if (!is(value_of(arguments, "do="), "silent"))
        say("FW main\n");
    deadline = number_of(arguments, "deadline=");
    if (!is(program, "hello"))
        start_clock();
    if (is(program, "sleep"))
        sleep_for_ever();
    if (is(program, "probe") && !is(value_of(arguments, "do="), "silent"))
        probe(arguments);
    end("code ", 0);
}
