/* Who is let in to the daemon's socket. */
#include "daemon/bus/admins.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmocka-all.h"

static void test_the_group_is_found(void **state)
{
	(void)state;
	assert_int_equal(admins_find(TEST_DATA_DIR "/admins/group", "knocktail-admin"), 471);
	assert_int_equal(admins_find(TEST_DATA_DIR "/admins/group", "knocktail"), 470);
	assert_int_equal(admins_find(TEST_DATA_DIR "/admins/group", "knock"), ADMINS_NONE);
	assert_int_equal(admins_find(TEST_DATA_DIR "/admins/group", "damaged"), ADMINS_NONE);
	assert_int_equal(admins_find(TEST_DATA_DIR "/admins/none", "knocktail"), ADMINS_NONE);
}

static void test_who_is_one_of_them(void **state)
{
	const gid_t groups[] = {10, 471, 12};

	(void)state;
	assert_true(admins_include(471, 1000, 1000, groups, 3));
	assert_true(admins_include(471, 1000, 471, NULL, 0));
	assert_true(admins_include(471, 0, 0, NULL, 0));
	assert_true(admins_include(ADMINS_NONE, 0, 0, NULL, 0));
	assert_false(admins_include(471, 1000, 1000, groups, 1));
	assert_false(admins_include(471, 471, 1000, NULL, 0));
	assert_false(admins_include(0, 1000, 1000, groups, 3));
}

/* Where there is no group, nobody is in it, not even by its number. */
static void test_no_group_has_no_members(void **state)
{
	const gid_t groups[] = {ADMINS_NONE};

	(void)state;
	assert_false(admins_include(ADMINS_NONE, 1000, ADMINS_NONE, groups, 1));
}

static void test_the_kernel_says_who_it_is(void **state)
{
	uid_t uid = 4711;
	int pair[2], pipes[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(admins_admit(getegid(), pair[0], &uid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(admins_admit(ADMINS_NONE, pair[0], &uid), geteuid() == 0 ? 0 : -EACCES);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(admins_admit(getegid(), pipes[0], &uid), -ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_group_is_found),
		cmocka_unit_test(test_who_is_one_of_them),
		cmocka_unit_test(test_no_group_has_no_members),
		cmocka_unit_test(test_the_kernel_says_who_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
