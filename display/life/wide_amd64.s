//go:build !purego

#include "textflag.h"

// NEXT makes four rows of the next generation, those at off bytes behind R11, and leaves in D
// how they differ from what stood there. The row sums at SI (ones) and DI (twos) begin
// with the row above. For each cell, with sum = n0 + 2 n1 + 4 f, f being the parity of the
// fours, the nine make 3, or 4 with the cell itself alive, where n0 = n1 and n0 != f
// and n0 or the cell is set.
#define NEXT(off, D) \
	VMOVDQU off(SI)(R11*1), Y0 \
	VMOVDQU off+8(SI)(R11*1), Y1 \
	VMOVDQU off+16(SI)(R11*1), Y2 \
	VMOVDQU off(DI)(R11*1), Y3 \
	VMOVDQU off+8(DI)(R11*1), Y4 \
	VMOVDQU off+16(DI)(R11*1), Y5 \
	VPXOR Y0, Y2, Y6 \
	VPAND Y0, Y2, Y7 \
	VPXOR Y1, Y6, Y8 \ // n0
	VPAND Y1, Y6, Y9 \
	VPOR Y7, Y9, Y7 \ // carry
	VPXOR Y3, Y5, Y0 \
	VPAND Y3, Y5, Y3 \
	VPXOR Y4, Y7, Y2 \
	VPAND Y4, Y7, Y4 \
	VPXOR Y0, Y2, Y5 \ // n1
	VPAND Y0, Y2, Y0 \
	VPXOR Y3, Y4, Y3 \
	VPXOR Y0, Y3, Y3 \ // f
	VMOVDQU off(BX)(R11*1), Y1 \
	VPXOR Y8, Y3, Y3 \
	VPOR Y8, Y1, Y1 \
	VPXOR Y8, Y5, Y5 \
	VPAND Y3, Y1, Y1 \
	VPANDN Y1, Y5, Y1 \
	VPAND Y15, Y1, Y1 \
	VMOVDQU off(DX)(R11*1), Y2 \
	VMOVDQU Y1, off(DX)(R11*1) \
	VPXOR Y1, Y2, D

// func stepRun(west, mid, east, out, ones, twos *uint64, tiles int, used uint64, notes *tileNote)
TEXT ·stepRun(SB), NOSPLIT, $0-72
	MOVQ west+0(FP), AX
	MOVQ mid+8(FP), BX
	MOVQ east+16(FP), CX
	MOVQ out+24(FP), DX
	MOVQ ones+32(FP), SI
	MOVQ twos+40(FP), DI
	MOVQ tiles+48(FP), R8
	VPBROADCASTQ used+56(FP), Y15
	MOVQ notes+64(FP), R9

	// The row sums, four rows at a time.
	MOVQ R8, R10
	SHLQ $1, R10
	XORQ R11, R11
sums:
	VMOVDQU (BX)(R11*1), Y0
	VMOVDQU (AX)(R11*1), Y1
	VMOVDQU (CX)(R11*1), Y2
	VPSRLQ $63, Y1, Y1
	VPSLLQ $63, Y2, Y2
	VPADDQ Y0, Y0, Y3
	VPOR Y1, Y3, Y1 // the neighbours left
	VPSRLQ $1, Y0, Y3
	VPOR Y2, Y3, Y2 // and right
	VPXOR Y1, Y2, Y3
	VPAND Y1, Y2, Y1
	VPXOR Y0, Y3, Y4
	VPAND Y0, Y3, Y5
	VPOR Y1, Y5, Y1
	VMOVDQU Y4, 8(SI)(R11*1)
	VMOVDQU Y1, 8(DI)(R11*1)
	ADDQ $32, R11
	DECQ R10
	JNZ sums

	XORQ R11, R11
tile:
	NEXT(0, Y13)
	NEXT(32, Y14)
	VMOVQ X13, R12
	MOVQ R12, 8(R9) // the top row
	VEXTRACTI128 $1, Y14, X0
	VPEXTRQ $1, X0, R12
	MOVQ R12, 16(R9) // the bottom row
	VPOR Y13, Y14, Y13
	VEXTRACTI128 $1, Y13, X0
	VPOR X0, X13, X0
	VPSRLDQ $8, X0, X1
	VPOR X0, X1, X0
	VMOVQ X0, R12
	MOVQ R12, (R9) // any row
	ADDQ $24, R9
	ADDQ $64, R11
	DECQ R8
	JNZ tile
	VZEROUPPER
	RET
