/* Memory that what a verb prints cannot do without. */
#pragma once

/* There is none: ends the program, saying so, with STATUS_FAILED. Not while something is changed
 * that would have to be taken back. */
_Noreturn void memory_out(void);
