/* Memory that what a verb prints cannot do without. */
#pragma once

/* There is none: ends the program, saying so, with STATUS_FAILED. Not while something is changed
 * that nobody else would take back. */
_Noreturn void memory_out(void);
