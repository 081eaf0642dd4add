/* Copying both ways between a connection and standard input and output. */
#pragma once

/* Until both ways have ended: the end of the input ends what we send, and the end of what is
 * received closes the output. Once nobody reads the output, all ends. The socket must not block; it
 * stays open. 0, also if the reader of the output has gone; a negative errno: the input, the
 * output or the connection broke. */
int relay_run(int socket, int input, int output);
