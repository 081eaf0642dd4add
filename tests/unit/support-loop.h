/* An event loop without time: sd-event for what is tested, and clocks that stand still until they
 * are moved. For programs that are linked with --wrap=clock_gettime and without libsystemd. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* The clocks begin to count: realtime and CLOCK_MONOTONIC. */
#define LOOP_REALTIME_US  UINT64_C(1700000000000000)
#define LOOP_MONOTONIC_US UINT64_C(1000000000)

/* Sets the clocks back to the beginning; there are no sources left, or the test fails. */
void loop_begin(void);

/* Moves both clocks, and has done in their order what is due by then. */
void loop_advance(uint64_t us);

/* Sets the wall clock alone; negative: back. */
void loop_step(int64_t us);

/* As if the descriptor was ready. False: nobody waits for it. */
bool loop_ready(int fd);

/* What is waited for there; 0: nothing. */
uint32_t loop_events(int fd);
