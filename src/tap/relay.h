/* Copying both ways between a connection and standard input and output. */
#pragma once

/* Until both directions have ended: the end of the input ends what we send, and the end of what is
 * received ends the output. Closes all three. 0 or a negative errno: one direction broke. */
int relay(int socket, int input, int output);
