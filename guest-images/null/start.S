/*
 * The entry point. A PVH guest starts in 32-bit protected mode without paging, with flat segments, interrupts off, and
 * the address of its start information in ebx (Xen's docs/misc/pvh.pandoc). It then switches to 64 bits with paging, as
 * every modern kernel does. So a host that only emulates the first instructions, as some nested ones do, does not count
 * as a host that executes guests.
 */
#define PRESENT_WRITABLE 3
#define LARGE_PAGE 0x80
#define PAGE_ENTRIES 512
#define CR0_PAGING 0x80000000
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LONG_MODE 0x100

    .section .note, "a", @note
    .long 4, 4, 18                /* XEN_ELFNOTE_PHYS32_ENTRY, xen/include/public/elfnote.h */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    movl $stack_top, %esp
    movl $pdpt + PRESENT_WRITABLE, pml4
    movl $low_gib + PRESENT_WRITABLE, pdpt
    movl $high_gib + PRESENT_WRITABLE, pdpt + 3 * 8
    /*
     * Map the first GiB, which contains this guest, and the fourth, which contains the interrupt controller, with 2 MiB
     * pages.
     */
    movl $PRESENT_WRITABLE | LARGE_PAGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, low_gib(, %ecx, 8)
    leal 0xc0000000(%eax), %edx
    movl %edx, high_gib(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $PAGE_ENTRIES, %ecx
    jb 1b
    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $EFER_LONG_MODE, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PAGING, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $2f

    .code64
2:  movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    lidt idt_pointer
    movl %ebx, %edi
    call null_main
3:  cli
    hlt
    jmp 3b

/* The first 32 vectors are exceptions of the processor (Intel SDM, volume 3, table 6-1). */
    .altmacro
    .macro vector number
    .balign 16
    movl $\number, %edi
    jmp fault
    .endm
    .balign 16
    .globl vectors
vectors:
    .set number, 0
    .rept 32
    vector %number
    .set number, number + 1
    .endr

fault:
    andq $-16, %rsp
    call null_fault               /* does not return */
    jmp 3b

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff      /* 64-bit code */
    .quad 0x00cf93000000ffff      /* data */
gdt_pointer:
    .word 23
    .quad gdt
idt_pointer:
    .word 33 * 16 - 1
    .quad idt

    .bss
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
low_gib:
    .skip 4096
high_gib:
    .skip 4096
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
