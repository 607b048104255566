//! What a wallet can be told to get wrong.

/// One thing that a wallet gets wrong. What belongs together stays right: a presentation with a broken issuer signature
/// has a holder's proof over exactly these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The holder's proof is for another nonce.
    WrongNonce,
    /// The holder's proof is for another verifier.
    WrongAudience,
    /// The holder's proof names the verifier without the prefix of its client identifier.
    AudienceWithoutPrefix,
    /// The holder's proof is one year old.
    HolderProofInPast,
    /// The holder's proof is of the next year.
    HolderProofInFuture,
    /// The holder's signature is broken.
    HolderSignatureBroken,
    /// The holder's proof is signed by a key that the credential was not issued to.
    ForeignHolderKey,
    /// The holder's proof is over another presentation.
    WrongSdHash,
    /// The holder's proof is left out.
    NoHolderProof,
    /// The hashes of the transaction data are left out.
    TransactionDataMissing,
    /// One hash more than there is transaction data.
    TransactionDataExtra,
    /// No authentication code. With a payment to be authorised, like the next seven.
    NoJti,
    /// The authentication code of every other such answer.
    SameJti,
    /// The holder's proof does not say how the answer was asked for.
    NoResponseMode,
    /// The holder's proof says that the answer was asked for in another way.
    WrongResponseMode,
    /// Its owner was recognised by nothing.
    NoFactors,
    /// Its owner was recognised by one factor.
    OneFactor,
    /// Its owner was recognised by two factors of one category.
    SameCategoryTwice,
    /// Its owner was recognised by a factor that the standard does not have.
    UnknownFactor,
    /// The issuer's signature is broken.
    IssuerSignatureBroken,
    /// A disclosure that no digest names.
    UnreferencedDisclosure,
    /// A disclosure is there twice. Needs a query that asks for a claim.
    DuplicateDisclosure,
    /// A disclosure of a claim named `_sd`: the issuer's, if the credential was issued with such a claim, else one that
    /// no digest names.
    DisclosureNamedSd,
    /// A disclosure is added after the holder signed.
    DisclosureAddedAfterProof,
    /// The last claim that was asked for is not shown. Needs a query that asks for a claim.
    MissingClaim,
    /// A credential of a type that was not asked for. Needs one in the wallet.
    WrongType,
    /// The presentation stands under an id that was not asked for, too.
    UnknownQueryId,
    /// The presentation stands outside of an array.
    PresentationOutsideArray,
    /// Two presentations where one was asked for.
    TwoPresentations,
    /// The whole `vp_token` is a string.
    VpTokenIsString,
    /// A member of `vp_token` is there twice.
    DuplicateMember,
    /// A presentation is two hundred arrays in each other.
    DeepJson,
    /// The state of another request.
    WrongState,
    /// No state at all.
    NoState,
    /// Sent in clear although encryption was asked for.
    PlainAnswer,
    /// Encrypted to somebody else's key under the name of the right one.
    ForeignEncryptionKey,
    /// The encryption says that its content is compressed.
    CompressedEncryption,
    /// Encrypted with an `enc` that was not offered.
    WrongContentEncryption,
    /// The body has one mebibyte more.
    OversizeBody,
    /// The holder's proof is for another origin. Over the Digital Credentials API, like the next two.
    OtherOrigin,
    /// The holder's proof is for our origin with a slash at its end.
    OriginWithSlash,
    /// The holder's proof is for the client identifier of the signed request.
    AudienceIsClientId,
}
