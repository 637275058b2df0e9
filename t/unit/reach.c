/* reach.c - whom strangers may make us connect to. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_network_io.h>

#include "llmux/transport.h"
#include "tap.h"

static void fill(struct sockaddr_storage *to, const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

    memset(to, 0, sizeof(*to));
    if (strchr(text, ':')) {
        v6->sin6_family = AF_INET6;
        inet_pton(AF_INET6, text, &v6->sin6_addr);
    }
    else {
        v4->sin_family = AF_INET;
        inet_pton(AF_INET, text, &v4->sin_addr);
    }
}

static int allows(const llmux_reach_t *reach, const char *text)
{
    struct sockaddr_storage sa;

    fill(&sa, text);
    return llmux_reach_allows(reach, (struct sockaddr *)&sa);
}

static void test_public(void)
{
    static const llmux_reach_t none = { NULL };
    static const struct { const char *address; int may; } cases[] = {
        { "8.8.8.8", 1 },               { "1.1.1.1", 1 },
        { "172.15.255.255", 1 },        { "172.32.0.0", 1 },
        { "100.63.255.255", 1 },        { "100.128.0.0", 1 },
        { "169.253.255.255", 1 },       { "198.17.255.255", 1 },
        { "198.20.0.0", 1 },            { "223.255.255.255", 1 },
        { "0.0.0.0", 0 },               { "0.1.2.3", 0 },
        { "10.0.0.1", 0 },              { "100.64.0.1", 0 },
        { "127.0.0.1", 0 },             { "127.255.255.254", 0 },
        { "169.254.169.254", 0 },       { "169.254.170.2", 0 },
        { "172.16.0.1", 0 },            { "172.31.255.255", 0 },
        { "192.0.0.192", 0 },           { "192.168.1.1", 0 },
        { "198.18.0.1", 0 },            { "198.19.255.255", 0 },
        { "224.0.0.1", 0 },             { "255.255.255.255", 0 },
        { "168.63.129.16", 0 },         { "168.63.129.17", 1 },
        { "2606:4700:4700::1111", 1 },  { "2a00:1450:4001:80b::200e", 1 },
        { "::", 0 },                    { "::1", 0 },
        { "::ffff:127.0.0.1", 0 },      { "::ffff:10.1.2.3", 0 },
        { "::ffff:169.254.169.254", 0 }, { "::ffff:8.8.8.8", 1 },
        { "64:ff9b::127.0.0.1", 0 },    { "64:ff9b::8.8.8.8", 1 },
        { "2002:7f00:1::", 0 },         { "2002:a9fe:a9fe::1", 0 },
        { "::127.0.0.1", 0 },           { "::8.8.8.8", 0 },
        { "fe80::1", 0 },               { "fc00::1", 0 },
        { "fd00:ec2::254", 0 },         { "ff02::1", 0 },
        { "2001:db8::1", 0 },           { "2001::1", 0 },
        { "2001:200::1", 1 },           { "3fff:0:1::1", 0 },
        { "4000::1", 0 },               { "100::1", 0 },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ok(allows(&none, cases[i].address) == cases[i].may, "%s is%s public",
           cases[i].address, cases[i].may ? "" : " not");
    }
}

static void test_named(apr_pool_t *p)
{
    apr_ipsubnet_t *net;
    llmux_reach_t reach;

    reach.networks = apr_array_make(p, 2, sizeof(net));
    apr_ipsubnet_create(&net, "10.20.0.0", "16", p);
    APR_ARRAY_PUSH(reach.networks, apr_ipsubnet_t *) = net;
    apr_ipsubnet_create(&net, "fd12::", "16", p);
    APR_ARRAY_PUSH(reach.networks, apr_ipsubnet_t *) = net;
    apr_ipsubnet_create(&net, "169.254.0.0", "16", p);
    APR_ARRAY_PUSH(reach.networks, apr_ipsubnet_t *) = net;
    ok(allows(&reach, "10.20.30.40"), "what the operator named");
    ok(allows(&reach, "fd12::7"), "... of either family");
    ok(!allows(&reach, "10.21.0.1"), "not what lies beside it");
    ok(!allows(&reach, "127.0.0.1"), "nor loopback");
    ok(!allows(&reach, "169.254.169.254"), "metadata never, though named");
    ok(allows(&reach, "8.8.8.8"), "and what is public");
}

/* Who names everything does not mean the metadata of clouds. */
static void test_metadata(apr_pool_t *p)
{
    static const char *const never[] = {
        "169.254.169.254", "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "168.63.129.16",
        "::ffff:168.63.129.16", "100.100.100.200", "fe80::1",
        "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"
    };
    static const char *const halves[] = {
        "0.0.0.0", "128.0.0.0", "::", "8000::"
    };
    apr_ipsubnet_t *net;
    llmux_reach_t all;
    size_t i;

    all.networks = apr_array_make(p, 4, sizeof(net));
    for (i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        apr_ipsubnet_create(&net, halves[i], "1", p);
        APR_ARRAY_PUSH(all.networks, apr_ipsubnet_t *) = net;
    }
    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        ok(!allows(&all, never[i]), "%s is never asked", never[i]);
    }
    ok(allows(&all, "10.0.0.1") && allows(&all, "fd12::1")
       && allows(&all, "::ffff:10.0.0.1"), "all else that was named is");
}

/* A connection to ourselves. */
static void test_own(apr_pool_t *p)
{
    static const llmux_reach_t none = { NULL };
    struct sockaddr_in sa = { .sin_family = AF_INET };
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof(sa);
    apr_ipsubnet_t *net;
    llmux_reach_t named;

    named.networks = apr_array_make(p, 1, sizeof(net));
    apr_ipsubnet_create(&net, "127.0.0.0", "8", p);
    APR_ARRAY_PUSH(named.networks, apr_ipsubnet_t *) = net;
    ok(!llmux_reach_leaves(&none, fd), "one that is not connected");
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listening, (struct sockaddr *)&sa, sizeof(sa));
    listen(listening, 1);
    getsockname(listening, (struct sockaddr *)&sa, &len);
    connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    ok(!llmux_reach_leaves(&none, fd), "from an address to itself");
    ok(llmux_reach_leaves(&named, fd), "... which the operator has named");
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    sa.sin_addr.s_addr = htonl(0x7f000002);
    sa.sin_port = 0;
    bind(fd, (struct sockaddr *)&sa, sizeof(sa));
    getsockname(listening, (struct sockaddr *)&sa, &len);
    connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    ok(llmux_reach_leaves(&none, fd), "from one address to another");
    close(fd);
    close(listening);
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_public();
    test_named(p);
    test_metadata(p);
    test_own(p);
    apr_pool_destroy(p);
    return tap_done();
}
