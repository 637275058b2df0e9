/* reach.c - which addresses are of the public Internet. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <apr_network_io.h>

#include "llmux/transport.h"

/* IANA's special-purpose registry of IPv4: what is not globally reachable,
 * and what is no host's. */
static const struct {
    unsigned char net[4];
    int bits;
} special[] = {
    { { 0 },            8 },    /* this network */
    { { 10 },           8 },    /* private */
    { { 100, 64 },     10 },    /* carriers' NAT */
    { { 127 },          8 },    /* loopback */
    { { 169, 254 },    16 },    /* link-local; metadata of clouds */
    { { 172, 16 },     12 },    /* private */
    { { 192, 0, 0 },   24 },    /* protocol assignments */
    { { 192, 0, 2 },   24 },    /* documentation */
    { { 192, 88, 99 }, 24 },    /* 6to4 relays, once */
    { { 192, 168 },    16 },    /* private */
    { { 198, 18 },     15 },    /* benchmarks */
    { { 198, 51, 100 }, 24 },   /* documentation */
    { { 203, 0, 113 }, 24 },    /* documentation */
    { { 224 },          4 },    /* multicast */
    { { 240 },          4 },    /* reserved, broadcast */
};

/* Parts of IPv6 that have an IPv4 address in them, and where. */
static const struct {
    unsigned char prefix[12];
    int len, at;
} carriers[] = {
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 12, 12 },  /* mapped */
    { { 0, 0x64, 0xff, 0x9b },                      12, 12 },  /* NAT64 */
    { { 0x20, 0x02 },                                2,  2 },  /* 6to4 */
};

/* Parts of 2000::/3, where the public ones are, that are not. */
static const struct {
    unsigned char prefix[4];
    int bits;
} special6[] = {
    { { 0x20, 0x01, 0x00 },       23 },     /* protocol assignments, Teredo */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 },     /* documentation */
    { { 0x3f, 0xff, 0x00 },       20 },     /* documentation */
};

static int begins(const unsigned char *address, const unsigned char *net,
                  int bits)
{
    int whole = bits / 8, rest = bits % 8;

    return !memcmp(address, net, (size_t)whole)
        && (!rest || (address[whole] ^ net[whole]) >> (8 - rest) == 0);
}

static int is_public4(const unsigned char *a)
{
    size_t i;

    for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (begins(a, special[i].net, special[i].bits)) {
            return 0;
        }
    }
    return 1;
}

static int is_public6(const unsigned char *a)
{
    size_t i;

    for (i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        if (begins(a, carriers[i].prefix, 8 * carriers[i].len)) {
            return is_public4(a + carriers[i].at);
        }
    }
    for (i = 0; i < sizeof(special6) / sizeof(special6[0]); i++) {
        if (begins(a, special6[i].prefix, special6[i].bits)) {
            return 0;
        }
    }
    return a[0] >> 5 == 1;
}

static int is_public(const struct sockaddr *sa)
{
    switch (sa->sa_family) {
    case AF_INET:
        return is_public4((const unsigned char *)
                          &((const struct sockaddr_in *)sa)->sin_addr);
    case AF_INET6:
        return is_public6((const unsigned char *)
                          &((const struct sockaddr_in6 *)sa)->sin6_addr);
    default:
        return 0;
    }
}

/* The IPv4 address that it is or has in it, or NULL. */
static const unsigned char *four_of(const struct sockaddr *sa)
{
    const unsigned char *a;
    size_t i;

    if (sa->sa_family == AF_INET) {
        return (const unsigned char *)
            &((const struct sockaddr_in *)sa)->sin_addr;
    }
    a = (const unsigned char *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
    for (i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        if (begins(a, carriers[i].prefix, 8 * carriers[i].len)) {
            return a + carriers[i].at;
        }
    }
    return NULL;
}

/* Where clouds keep what they tell their own machines alone, some of it among
 * public or private addresses. */
static const struct { unsigned char net[4]; int bits; } metadata[] = {
    { { 169, 254 },           16 },     /* link-local: nearly all */
    { { 100, 100, 100, 200 }, 32 },     /* Alibaba Cloud */
    { { 168, 63, 129, 16 },   32 },     /* Azure */
};
static const struct { unsigned char net[16]; int bits; } metadata6[] = {
    { { 0xfe, 0x80 },                    10 },  /* link-local */
    { { 0xfd, 0x00, 0x0e, 0xc2 },        32 },  /* Amazon */
    { { 0xfd, 0x20, 0x00, 0xce },        32 },  /* Google */
};

/* Never asked, whatever the operator has named. */
static int is_metadata(const struct sockaddr *sa)
{
    const unsigned char *four = four_of(sa), *a;
    size_t i;

    for (i = 0; four && i < sizeof(metadata) / sizeof(metadata[0]); i++) {
        if (begins(four, metadata[i].net, metadata[i].bits)) {
            return 1;
        }
    }
    a = (const unsigned char *)&((const struct sockaddr_in6 *)sa)->sin6_addr;
    for (i = 0; !four && i < sizeof(metadata6) / sizeof(metadata6[0]); i++) {
        if (begins(a, metadata6[i].net, metadata6[i].bits)) {
            return 1;
        }
    }
    return 0;
}

/* What apr_ipsubnet_test() looks at. */
static void fill(apr_sockaddr_t *to, const struct sockaddr *sa)
{
    int six = sa->sa_family == AF_INET6;

    memset(to, 0, sizeof(*to));
    to->family = sa->sa_family;
    to->ipaddr_len = six ? sizeof(struct in6_addr) : sizeof(struct in_addr);
    if (six) {
        memcpy(&to->sa.sin6, sa, sizeof(to->sa.sin6));
        to->ipaddr_ptr = &to->sa.sin6.sin6_addr;
    }
    else {
        memcpy(&to->sa.sin, sa, sizeof(to->sa.sin));
        to->ipaddr_ptr = &to->sa.sin.sin_addr;
    }
}

static int is_named(const llmux_reach_t *reach, const struct sockaddr *sa)
{
    apr_sockaddr_t address;
    int i;

    if (!reach->networks) {
        return 0;
    }
    fill(&address, sa);
    for (i = 0; i < reach->networks->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(reach->networks, i,
                                            apr_ipsubnet_t *), &address)) {
            return 1;
        }
    }
    return 0;
}

int llmux_reach_allows(const llmux_reach_t *reach,
                       const struct sockaddr *address)
{
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6) {
        return 0;
    }
    return !is_metadata(address)
        && (is_public(address) || is_named(reach, address));
}

int llmux_reach_leaves(const llmux_reach_t *reach, int fd)
{
    struct sockaddr_storage here, there;
    socklen_t n = sizeof(here), m = sizeof(there);
    apr_sockaddr_t a, b;

    if (getsockname(fd, (struct sockaddr *)&here, &n)
        || getpeername(fd, (struct sockaddr *)&there, &m)) {
        return 0;
    }
    fill(&a, (struct sockaddr *)&here);
    fill(&b, (struct sockaddr *)&there);
    return !apr_sockaddr_equal(&a, &b)
        || is_named(reach, (struct sockaddr *)&there);
}
